"""The cache in the process: bounded in bytes, right whatever becomes of the shared one."""

import asyncio
import gc
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.contextvars import bound_contextvars, get_contextvars
from structlog.testing import capture_logs

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.read_path.local_cache import (
    MOST_SPARED,
    OVERHEAD,
    PUT_BYTES,
    BoundedLocalCache,
)
from orders.adapters.read_path.order_reader import CachedOrderReader
from orders.domain.errors import Unavailable
from orders.domain.order.document import hex_digest
from orders.domain.order.queries import FoundDocuments
from orders.domain.order.tombstones import Tombstone
from orders.domain.use_cases.look_up_order import LookUpOrder
from tests.contracts.cache import document, documents, uids_in
from tests.waiting import settle, until

ROOM = 1_000_000
CAPACITY = 3
PAUSE = 0.02


class Store(MemoryOrderRepository):
    """Has every order, and remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        self.asked.append(list(order_uids))
        return FoundDocuments(documents(*order_uids))


class SharedCache(MemoryCache):
    """Records its calls."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        super().__init__(capacity)
        self.asked: list[list[str]] = []
        self.touched: list[list[str]] = []
        self.given: list[list[str]] = []
        self.frozen = asyncio.Event()
        self.frozen.set()
        self.failure: Exception | None = None

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        self.asked.append(list(order_uids))
        return await super().get(order_uids)

    async def put(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        self.given.append(list(documents))
        await self.frozen.wait()
        await super().put(documents, as_of)

    async def touch(self, order_uids: Collection[str]) -> list[str]:
        self.touched.append(list(order_uids))
        await self.frozen.wait()
        if self.failure:
            raise self.failure
        found = await MemoryCache.get(self, order_uids)
        return [uid for uid in order_uids if uid not in found]

    async def holds(self, *uids: str) -> bool:
        """Whether it has exactly these, after a flush."""
        await until(lambda: list(self._documents) == list(uids))
        return True


@pytest.fixture
def shared() -> SharedCache:
    return SharedCache()


@pytest.fixture
async def cache(shared: SharedCache) -> AsyncIterator[BoundedLocalCache]:
    cache = BoundedLocalCache(shared, ROOM, CAPACITY, flush_interval=PAUSE)
    await cache.open()
    yield cache
    await cache.close()


class TestHits:
    async def test_what_was_read_once_is_not_asked_for_again(
        self, cache: BoundedLocalCache, shared: SharedCache
    ) -> None:
        store = Store()
        reader = CachedOrderReader(store, shared, cache)
        await shared.put(documents("a"))
        assert await reader.get(["a", "b"]) == documents("a", "b")
        assert (shared.asked, store.asked) == ([["a", "b"]], [["b"]])
        assert cache.peek("a")
        assert cache.peek("b")

    async def test_it_comes_with_its_digest(self, cache: BoundedLocalCache) -> None:
        assert cache.peek("a") is None
        cache.keep(documents("a"))
        cached = cache.peek("a")
        assert cached is not None
        assert (cached.document, cached.digest) == (document("a"), hex_digest(document("a")))

    async def test_with_the_shared_cache_down_orders_are_kept_locally(
        self, cache: BoundedLocalCache, shared: SharedCache
    ) -> None:
        store = Store()
        reader = CachedOrderReader(store, shared, cache)
        shared.available = False
        look_up = LookUpOrder(reader, cache)
        for _ in range(3):
            cached = look_up.peek("a")
            assert (cached.document if cached else await look_up("a")) == document("a")
        assert store.asked == [["a"]]
        await cache.put(documents("b"))
        assert cache.peek("b")

    async def test_a_hit_waits_for_nobody(
        self, cache: BoundedLocalCache, shared: SharedCache
    ) -> None:
        shared.frozen.clear()
        await cache.put(documents("a"))
        await settle()
        assert shared.touched == [["a"]]  # and it hangs there
        assert cache.peek("a")


class TestRoom:
    async def test_the_oldest_gives_way_unless_it_was_used(self, shared: SharedCache) -> None:
        each = 1000 + OVERHEAD
        cache = BoundedLocalCache(shared, 10 * each, CAPACITY)
        for i in range(10):
            await cache.put({str(i): b"x" * 900})
        assert cache.peek("0")
        await cache.put({"new": b"x" * 900})
        assert cache.peek("0")
        assert not cache.peek("1")
        assert cache.peek("2")

    async def test_what_is_used_again_and_again_stays(self, shared: SharedCache) -> None:
        cache = BoundedLocalCache(shared, 10 * (1000 + OVERHEAD), CAPACITY)
        await cache.put({"hot": b"x" * 900})
        for i in range(100):
            assert cache.peek("hot")
            cache.keep({str(i): b"x" * 900})
        assert cache.peek("99")
        assert not cache.peek("1")

    async def test_where_all_were_used_one_gives_way_at_once(self, shared: SharedCache) -> None:
        number = 5 * MOST_SPARED
        cache = BoundedLocalCache(shared, number * (100 + OVERHEAD), CAPACITY)
        for i in range(number):
            cache.keep({str(i): b""})
        held = sum(cache.peek(str(i)) is not None for i in range(number))
        assert held > 3 * MOST_SPARED
        cache.keep({"new": b"x" * 50})
        assert cache.peek("new")
        left = [str(i) for i in range(number) if cache.peek(str(i))]
        assert held - len(left) <= 2
        assert "0" in left, "those that were passed over stay"

    async def test_what_was_forgotten_and_came_again(self, shared: SharedCache) -> None:
        cache = BoundedLocalCache(shared, 10 * (1000 + OVERHEAD), CAPACITY)
        for round_ in range(20):
            cache.keep({"a": b"x" * 900}, as_of=round_)
            assert cache.peek("a")
            cache.forget([Tombstone("a", round_ + 1)], round_)
            assert not cache.peek("a")
        cache.keep({"a": b"x" * 900}, as_of=20)
        for i in range(30):
            cache.keep({str(i): b"x" * 900}, as_of=20)
        assert not cache.peek("a")
        assert [str(i) for i in range(30) if cache.peek(str(i))] == [str(i) for i in range(20, 30)]

    async def test_a_document_that_is_too_large_goes_only_to_the_shared_cache(
        self, shared: SharedCache
    ) -> None:
        cache = BoundedLocalCache(shared, ROOM, CAPACITY)
        await cache.put({"small": b"x"} | {"large": b"x" * (ROOM // 8)})
        assert shared.given == [["large"]]
        assert cache.peek("small")
        assert not cache.peek("large")
        shared.available = False
        with pytest.raises(Unavailable):
            await cache.put({"large": b"x" * (ROOM // 8)})

    async def test_a_larger_one_in_the_place_of_a_small_one(self, shared: SharedCache) -> None:
        cache = BoundedLocalCache(shared, ROOM, CAPACITY)
        await cache.put({"a": b"x"})
        await cache.put({"a": b"x" * (ROOM // 8)})
        assert not cache.peek("a")

    async def test_it_takes_the_memory_that_it_says(self, shared: SharedCache) -> None:
        tracemalloc.start()
        try:
            cache = BoundedLocalCache(shared, ROOM, CAPACITY)
            before, _ = tracemalloc.get_traced_memory()
            for i in range(2000):
                await cache.put({f"uid-{i}-of-some-length-{i}": b"%1000d" % i})
                cache.peek(f"uid-{i}-of-some-length-{i}")
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert ROOM * 0.8 < after - before < ROOM * 1.05

    async def test_the_garbage_collector_has_nothing_to_traverse(self, shared: SharedCache) -> None:
        cache = BoundedLocalCache(shared, ROOM, CAPACITY)
        before = len(gc.get_objects())
        for i in range(500):
            cache.keep({str(i): b"%d" % i})
            cache.peek(str(i))
        assert len(gc.get_objects()) - before < 50

    async def test_what_was_forgotten_takes_no_memory(self, shared: SharedCache) -> None:
        cache = BoundedLocalCache(shared, ROOM, CAPACITY)

        def forget_some(first: int) -> None:
            for i in range(first, first + 20_000):
                cache.keep({f"{i}": b"x"}, as_of=i)
                cache.forget([Tombstone(f"{i}", i + 1)], i)

        forget_some(0)  # by now as many tombstones are remembered as there will be
        tracemalloc.start()
        try:
            forget_some(20_000)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # Ten thousand tombstones with their uids, in the place of those from before.
        assert after < 10_000 * 250

    @given(
        st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3000)), max_size=60),
    )
    async def test_the_room_is_never_exceeded_and_what_is_held_is_the_latest(
        self, puts: list[tuple[str, int]]
    ) -> None:
        cache = BoundedLocalCache(MemoryCache(1), 12_000, 1)
        latest: dict[str, bytes] = {}
        for uid, size in puts:
            latest[uid] = uid.encode() * size
            await cache.put({uid: latest[uid]})
            held = {uid: found for uid in latest if (found := cache.peek(uid))}
            assert all(found.document == latest[uid] for uid, found in held.items())
            assert sum(len(found.document) + OVERHEAD for found in held.values()) <= 12_000


class TestFlush:
    async def test_a_put_is_flushed_at_once(
        self, cache: BoundedLocalCache, shared: SharedCache
    ) -> None:
        await cache.put(documents("a"))
        await settle()
        assert await shared.holds("a")

    async def test_hits_are_flushed(self, cache: BoundedLocalCache, shared: SharedCache) -> None:
        await shared.put(documents(*"abc"))
        cache.keep(documents("a"))
        await shared.put(documents(*"bc"))
        assert cache.peek("a")
        assert await shared.holds(*"bca")
        await shared.put(documents("d"))
        assert await uids_in(shared, *"abcd") == set("acd")

    async def test_what_the_shared_one_has_lost_is_put_again(
        self, cache: BoundedLocalCache, shared: SharedCache
    ) -> None:
        await cache.put(documents("a"))
        assert await shared.holds("a")
        await shared.put(documents(*"xyz"))
        assert cache.peek("a")
        assert await shared.holds(*"yza")

    async def test_uses_during_the_interval_share_one_flush(
        self, cache: BoundedLocalCache, shared: SharedCache
    ) -> None:
        await cache.put(documents("a"))
        await settle()
        for _ in range(100):
            cache.peek("a")
            await cache.put(documents("b"))
        assert await shared.holds("a", "b")
        assert shared.touched == [["a"], ["a", "b"]]

    async def test_no_more_is_flushed_than_the_shared_cache_holds(
        self, cache: BoundedLocalCache, shared: SharedCache
    ) -> None:
        await cache.put(documents(*map(str, range(100))))
        assert await shared.holds("97", "98", "99")
        assert shared.touched == [["97", "98", "99"]]
        assert shared.given == [["97", "98", "99"]]

    async def test_many_bytes_are_put_bit_by_bit(self, shared: SharedCache) -> None:
        large = {uid: bytes(PUT_BYTES * 2 // 3) for uid in "abc"}
        cache = BoundedLocalCache(shared, 100 * PUT_BYTES, CAPACITY, flush_interval=PAUSE)
        await cache.open()
        await cache.put(large)
        assert await shared.holds(*"abc")
        assert shared.given == [["a", "b"], ["c"]]
        await cache.close()

    async def test_of_many_uses_the_last_ones_are_flushed_however_often_they_were(
        self, cache: BoundedLocalCache, shared: SharedCache
    ) -> None:
        cache.keep(documents(*map(str, range(100))))
        for uid in map(str, range(100)):
            cache.peek("1")
            cache.peek(uid)
        await until(lambda: len(shared.touched) > 0)
        (touched,) = shared.touched
        assert len(touched) == CAPACITY
        assert {"1", "99"} <= set(touched)

    async def test_unused_documents_are_not_flushed_again(
        self, cache: BoundedLocalCache, shared: SharedCache
    ) -> None:
        await cache.put(documents("a", "b"))
        assert await shared.holds("a", "b")
        cache.peek("a")
        assert await shared.holds("b", "a")
        assert shared.touched == [["a", "b"], ["a"]]

    async def test_when_nothing_is_used_it_ends(
        self, cache: BoundedLocalCache, shared: SharedCache
    ) -> None:
        await cache.put(documents("a"))
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
        assert shared.touched == [["a"]]

    async def test_later_uses_are_flushed_after_the_shared_cache_was_down(
        self, cache: BoundedLocalCache, shared: SharedCache
    ) -> None:
        shared.available = False
        await cache.put(documents("a"))
        await until(lambda: len(shared.touched) > 0)
        shared.available = True
        cache.peek("a")
        assert await shared.holds("a")

    async def test_an_unforeseen_error_is_logged_and_ends_nothing(
        self, cache: BoundedLocalCache, shared: SharedCache
    ) -> None:
        shared.failure = RuntimeError("?")
        shared.frozen.clear()
        with capture_logs() as lines:
            await cache.put(documents("a"))
            await settle()
            cache.peek("a")
            shared.frozen.set()
            await settle()
        assert [(line["event"], line["log_level"]) for line in lines] == [
            ("unforeseen error", "error")
        ]
        shared.failure = None
        cache.peek("a")
        assert await shared.holds("a")

    async def test_before_open_and_after_close_nothing_is_flushed(
        self, shared: SharedCache
    ) -> None:
        cache = BoundedLocalCache(shared, ROOM, CAPACITY, flush_interval=PAUSE)
        await cache.put(documents("a"))
        await settle()
        assert shared.touched == []
        await cache.open()
        shared.frozen.clear()
        cache.peek("a")
        await settle()
        assert shared.touched == [["a"]]
        await asyncio.wait_for(cache.close(), 1)
        assert cache.peek("a")
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert shared.touched == [["a"]]


async def test_lines_of_a_flush_are_not_those_of_a_request() -> None:
    seen: list[dict[str, object]] = []

    class Looking(SharedCache):
        async def touch(self, order_uids: Collection[str]) -> list[str]:
            seen.append(get_contextvars())
            return []

    cache = BoundedLocalCache(Looking(), ROOM, CAPACITY, flush_interval=PAUSE)
    await cache.open()
    with bound_contextvars(request_id="mine"):
        await cache.put(documents("a"))
    await settle()
    await cache.close()
    assert seen == [{}]


def test_the_application_has_made_it_when_a_worker_freezes_what_is_loaded() -> None:
    """Made later, its table would be traversed by each full collection, however large it is."""
    program = """
import gc
from orders.adapters.read_path.local_cache import BoundedLocalCache
from orders.config import Settings
from orders.entrypoints.http import asgi

app = asgi.create(Settings(postgres_dsn="host=db.invalid", kafka_bootstrap="b:1"))
print([type(each).__name__ for each in gc.get_objects() if isinstance(each, BoundedLocalCache)])
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "['BoundedLocalCache']"
