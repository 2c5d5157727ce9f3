"""The cache in a real Redis: the contract, and all that others may do to its keys."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from orders.adapters.redis_lru.cache import MAX_DOCUMENT_BYTES, PUT_BYTES, RedisCache
from orders.domain.order.document import digest
from orders.domain.ports import Cache
from tests.contracts.cache import (
    CacheContract,
    NewCache,
    check_against_model,
    document,
    documents,
    uids_in,
)
from tests.integration.redis.conftest import OpenCache


def value(uid: str, content: object = "") -> bytes:
    """What stands on the server for this document."""
    return digest(document(uid, content)) + document(uid, content)


class Keys:
    """The cache's own keys."""

    def __init__(self, prefix: str) -> None:
        self.documents = f"{{{prefix}}}:documents"
        self.recency = f"{{{prefix}}}:recency"


@pytest.fixture
def keys(prefix: str) -> Keys:
    return Keys(prefix)


async def sizes(redis: Redis, keys: Keys) -> tuple[int, int]:
    return await redis.hlen(keys.documents), await redis.zcard(keys.recency)


class TestRedisCache(CacheContract):
    @pytest.fixture
    def new_cache(self, open_cache: OpenCache) -> NewCache:
        return open_cache

    def test_does_as_a_plain_model_does(self, redis_url: str) -> None:
        async def make(capacity: int) -> RedisCache:
            cache = RedisCache(redis_url, capacity, f"test-{uuid4().hex}", timeout=5.0)
            await cache.open()
            return cache

        async def done(cache: Cache) -> None:
            assert isinstance(cache, RedisCache)
            async with Redis.from_url(redis_url) as client:
                await client.delete(*cache._keys)
            await cache.close()

        check_against_model(make, done)


class TestKeys:
    async def test_it_makes_two_keys_in_one_slot_and_no_other(
        self, open_cache: OpenCache, redis: Redis, prefix: str, keys: Keys
    ) -> None:
        cache = await open_cache(3)
        await cache.put(documents(*"abcde"))
        await cache.get(["a", "e"])
        found = {key async for key in redis.scan_iter(match=f"*{prefix}*", count=1000)}
        assert found == {keys.documents.encode(), keys.recency.encode()}

    async def test_other_keys_are_not_changed(
        self, open_cache: OpenCache, redis: Redis, prefix: str
    ) -> None:
        foreign = [f"{prefix}:documents", f"{{{prefix}}}:else", f"{prefix}", f"{{{prefix}}}"]
        for key in foreign:
            await redis.set(key, "theirs")
        cache = await open_cache(2)
        for n in range(50):
            await cache.put(documents(str(n)))
        assert await redis.mget(foreign) == [b"theirs"] * len(foreign)

    async def test_caches_of_other_prefixes_do_not_meet(
        self, open_cache: OpenCache, prefix: str
    ) -> None:
        one = await open_cache(2)
        other = await open_cache(2, prefix=f"other-{prefix}")
        await one.put(documents("a", "b"))
        await other.put(documents("x", "y", "z"))
        assert await uids_in(one, *"abxyz") == {"a", "b"}
        assert await uids_in(other, *"abxyz") == {"y", "z"}

    @pytest.mark.parametrize("bad", ["{", "a}b", "{tag}"])
    def test_a_prefix_with_braces_is_refused(self, bad: str) -> None:
        with pytest.raises(ValueError, match="braces"):
            RedisCache("redis://127.0.0.1:1/0", 3, bad)


class TestLargeDocuments:
    async def test_they_are_left_out(self, open_cache: OpenCache) -> None:
        cache = await open_cache(10)
        large = document("large", "x" * MAX_DOCUMENT_BYTES)
        await cache.put({"a": document("a"), "large": large, "b": document("b")})
        assert set(await cache.get(["a", "large", "b"])) == {"a", "b"}
        await cache.put({"large": large})
        assert await cache.touch(["large"]) == ["large"]

    async def test_of_many_the_last_are_kept(self, open_cache: OpenCache) -> None:
        cache = await open_cache(1_000)
        many = {f"o{n}": document(f"o{n}", "x" * 60_000) for n in range(100)}
        await cache.put(many)
        kept = await cache.get(list(many))
        assert PUT_BYTES * 0.9 < sum(map(len, kept.values())) <= PUT_BYTES
        assert list(kept) == list(many)[-len(kept) :]


class TestSharing:
    async def test_it_is_one_cache_for_all_processes(self, open_cache: OpenCache) -> None:
        one, other = await open_cache(3), await open_cache(3)
        await one.put(documents(*"abc"))
        await other.get(["a"])
        await one.put(documents("d"))
        assert await uids_in(other, *"abcd") == set("acd")

    async def test_it_is_there_again_after_a_restart_of_ours(self, open_cache: OpenCache) -> None:
        cache = await open_cache(3)
        await cache.put(documents(*"abc"))
        await cache.get(["a"])
        await cache.close()
        await cache.open()
        await cache.put(documents("d"))
        assert await uids_in(cache, *"abcd") == set("acd")

    async def test_a_lower_capacity_holds_from_the_next_put_on(
        self, open_cache: OpenCache, redis: Redis, keys: Keys
    ) -> None:
        many = [str(n) for n in range(500)]
        await (await open_cache(500)).put(documents(*many))
        cache = await open_cache(3)
        await cache.put(documents("new"))
        assert await uids_in(cache, *many, "new") == {"498", "499", "new"}
        assert await sizes(redis, keys) == (3, 3)

    async def test_many_processes_at_once_keep_to_the_capacity(
        self, open_cache: OpenCache, redis: Redis, keys: Keys
    ) -> None:
        caches = [await open_cache(5, max_connections=3) for _ in range(4)]

        async def work(cache: Cache, n: int) -> None:
            uid = f"uid-{n % 13}"
            await cache.put({uid: document(uid, n)})
            found = await cache.get([f"uid-{k % 13}" for k in range(n, n + 5)])
            for name, held in found.items():
                assert held in {document(name, other) for other in range(100)}

        await asyncio.gather(*(work(cache, n) for n in range(100) for cache in caches))
        assert await sizes(redis, keys) == (5, 5)


class TestCorruptEntries:
    @pytest.mark.parametrize(
        "corrupt",
        [
            b"",
            b"short",
            document("a"),
            value("a")[:-1],
            value("a") + b" ",
            b"\0" * 16 + document("a"),
            value("b"),
            digest(b"[]") + b"[]",
        ],
        ids=["empty", "short", "no digest", "cut", "longer", "other digest", "other uid", "alien"],
    )
    async def test_are_absent_and_dropped(
        self, open_cache: OpenCache, redis: Redis, keys: Keys, corrupt: bytes
    ) -> None:
        cache = await open_cache(3)
        await cache.put(documents("a", "b"))
        await redis.hset(keys.documents, "a", corrupt)
        assert await cache.get(["a", "b"]) == documents("b")
        assert await redis.hkeys(keys.documents) == [b"b"]
        assert await redis.zrange(keys.recency, 0, -1) == [b"b"]
        await cache.put(documents("a"))
        assert await cache.get(["a", "b"]) == documents("a", "b")

    async def test_a_good_value_that_came_meanwhile_is_not_dropped(
        self, open_cache: OpenCache, redis: Redis, keys: Keys
    ) -> None:
        class Meanwhile(RedisCache):
            """Another process puts a good value between the reading and the dropping."""

            async def _run(self, script: Any, arguments: Any, position: int = 0) -> Any:
                answer = await super()._run(script, arguments, position)
                if b"corrupt" in (answer or ()):
                    await other.put(documents("a"))
                return answer

        other = await open_cache(3)
        await other.put(documents("a"))
        await redis.hset(keys.documents, "a", "corrupt")
        cache = Meanwhile(other_url(redis), 3, prefix_of(keys), timeout=5.0)
        await cache.open()
        assert await cache.get(["a"]) == {}
        assert await cache.get(["a"]) == documents("a")
        await cache.close()


class TestStructuresComeApart:
    @pytest.mark.parametrize("kind", ["documents", "recency"])
    @pytest.mark.parametrize("first", ["get", "put", "check"])
    async def test_a_key_of_another_type_is_replaced(
        self, open_cache: OpenCache, redis: Redis, keys: Keys, kind: str, first: str
    ) -> None:
        cache = await open_cache(3)
        await cache.put(documents("a"))
        await redis.set(getattr(keys, kind), "a string of somebody's")
        if first == "get":
            assert await cache.get(["a"]) == {}
        elif first == "put":
            await cache.put(documents("b"))
        else:
            await cache.check()
        await cache.put(documents("b", "c"))
        assert await cache.get(["a", "b", "c"]) == documents("b", "c")
        assert await sizes(redis, keys) == (2, 2)

    @pytest.mark.parametrize("kind", ["documents", "recency"])
    async def test_half_of_it_deleted_is_an_empty_cache(
        self, open_cache: OpenCache, redis: Redis, keys: Keys, kind: str
    ) -> None:
        cache = await open_cache(3)
        await cache.put(documents(*"abc"))
        await redis.delete(getattr(keys, kind))
        assert await cache.get(list("abc")) == {}
        await cache.put(documents("d"))
        assert await sizes(redis, keys) == (1, 1)
        for uid in "efgh":
            await cache.put(documents(uid))
        assert await uids_in(cache, *"abcdefgh") == set("fgh")
        assert await sizes(redis, keys) == (3, 3)

    @pytest.mark.parametrize("kind", ["documents", "recency"])
    async def test_a_put_cleans_up_too(
        self, open_cache: OpenCache, redis: Redis, keys: Keys, kind: str
    ) -> None:
        cache = await open_cache(3)
        await cache.put(documents(*"abc"))
        await redis.delete(getattr(keys, kind))
        await cache.put(documents("d"))
        assert await sizes(redis, keys) == (1, 1)

    async def test_values_without_a_place_never_pile_up(
        self, open_cache: OpenCache, redis: Redis, keys: Keys
    ) -> None:
        cache = await open_cache(3)
        await cache.put(documents(*"abc"))
        await redis.hset(keys.documents, mapping={f"ghost-{n}": "x" for n in range(1000)})
        await cache.put(documents("d"))
        assert await sizes(redis, keys) == (3, 3)
        assert await uids_in(cache, *"abcd") == set("bcd")

    async def test_places_without_a_value_take_nobody_s_room(
        self, open_cache: OpenCache, redis: Redis, keys: Keys
    ) -> None:
        cache = await open_cache(3)
        await cache.put(documents(*"ab"))
        await redis.zadd(keys.recency, {f"ghost-{n}": 1000 + n for n in range(1000)})
        await cache.put(documents("c"))
        assert await uids_in(cache, *"abc") == set("abc")
        assert await sizes(redis, keys) == (3, 3)

    async def test_as_many_halves_of_each_kind_are_found_in_the_end(
        self, open_cache: OpenCache, redis: Redis, keys: Keys
    ) -> None:
        cache = await open_cache(3)
        await cache.put(documents(*"abc"))
        await redis.hdel(keys.documents, "a", "b")
        await redis.hset(keys.documents, mapping={"ghost-1": "x", "ghost-2": "x"})
        for uid in "defg":
            await cache.put(documents(uid))
            assert await redis.hlen(keys.documents) <= 3
        assert await uids_in(cache, *"abcdefg") == set("efg")
        assert await sizes(redis, keys) == (3, 3)

    @pytest.mark.parametrize("tick", ["inf", "-inf", "1e300", "9007199254740993", "-5", "0.5"])
    async def test_absurd_ticks_do_not_break_the_order(
        self, open_cache: OpenCache, redis: Redis, keys: Keys, tick: str
    ) -> None:
        cache = await open_cache(3)
        await cache.put(documents("a"))
        await redis.zadd(keys.recency, {"a": tick})
        for uid in "zyxw":
            await cache.put(documents(uid))
        await cache.get(["y"])
        await cache.put(documents("v"))
        assert await uids_in(cache, *"azyxwv") == set("ywv")
        assert await sizes(redis, keys) == (3, 3)


def other_url(redis: Redis) -> str:
    options = redis.connection_pool.connection_kwargs
    return f"redis://{options['host']}:{options['port']}/{options['db']}"


def prefix_of(keys: Keys) -> str:
    return keys.documents[1:].partition("}")[0]
