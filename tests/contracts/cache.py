"""What every cache keeps to. Subclasses give the fixture ``new_cache``."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from orders.domain.order.tombstones import MAX_RECENT, Tombstone
from orders.domain.ports import Cache

NewCache = Callable[[int], Coroutine[Any, Any, Cache]]
"""Makes an empty cache of this capacity."""

DoneCache = Callable[[Cache], Coroutine[Any, Any, None]]
"""Ends a cache."""

UNUSUAL_UIDS = (
    "",
    " ",
    "/",
    "..",
    "a\nb\r\nc",
    'quo"te',
    "back\\slash",
    "{tag}",
    "%2F",
    "nil",
    "заказ",
    "訂單",
    "😀",
    "e\u0301",
    "\u00e9",
    "\u2028",
    "-inf",
    "1e400",
    "u" * 255,
)


def document(uid: str, content: object = "") -> bytes:
    """Bytes that begin as the canonical ones of this order do."""
    return msgspec.json.encode({"order_uid": uid, "content": content})


def documents(*uids: str) -> dict[str, bytes]:
    return {uid: document(uid) for uid in uids}


async def uids_in(cache: Cache, *uids: str) -> set[str]:
    """Which of these are there, asked from the one that was used least recently on."""
    return set(await cache.get(uids))


class CacheBasics:
    """What holds of a cache whatever bounds it."""

    @pytest.fixture
    def new_cache(self) -> NewCache:
        raise NotImplementedError

    async def test_an_empty_cache_finds_nothing(self, new_cache: NewCache) -> None:
        cache = await new_cache(3)
        assert await cache.get(["a", "b"]) == {}

    async def test_nothing_asked_nothing_found(self, new_cache: NewCache) -> None:
        cache = await new_cache(3)
        await cache.put({})
        assert await cache.get([]) == {}

    async def test_gives_out_what_was_put(self, new_cache: NewCache) -> None:
        cache = await new_cache(3)
        await cache.put(documents("a", "b"))
        assert await cache.get(["b", "unknown", "a"]) == documents("a", "b")

    async def test_the_latest_put_of_a_uid_counts(self, new_cache: NewCache) -> None:
        cache = await new_cache(3)
        await cache.put({"a": document("a", 1)})
        await cache.put({"a": document("a", 2)})
        assert await cache.get(["a"]) == {"a": document("a", 2)}

    async def test_many_at_once(self, new_cache: NewCache) -> None:
        cache = await new_cache(10_000)
        many = documents(*map(str, range(10_000)))
        await cache.put(many)
        assert await cache.get(list(many)) == many

    async def test_any_text_is_a_uid(self, new_cache: NewCache) -> None:
        cache = await new_cache(len(UNUSUAL_UIDS))
        await cache.put(documents(*UNUSUAL_UIDS))
        assert await cache.get(UNUSUAL_UIDS) == documents(*UNUSUAL_UIDS)

    async def test_any_bytes_after_the_uid_are_a_document(self, new_cache: NewCache) -> None:
        cache = await new_cache(2)
        awkward = document("a") + bytes(range(256)) * 200 + b"\r\n$-1\r\n"
        await cache.put({"a": awkward})
        assert await cache.get(["a"]) == {"a": awkward}


def tombstone(uid: str, position: int) -> Tombstone:
    return Tombstone(uid, position)


class ForgettingContract:
    """What holds of a cache once orders are forgotten.

    ``new_cache`` opens the same cache again, as another process does.
    """

    @pytest.fixture
    def new_cache(self) -> NewCache:
        raise NotImplementedError

    async def test_forgotten_orders_are_gone(self, new_cache: NewCache) -> None:
        cache = await new_cache(5)
        await cache.put(documents(*UNUSUAL_UIDS[:4], "a"))
        assert cache.position == 0
        gone = [tombstone(uid, 10 + n) for n, uid in enumerate([*UNUSUAL_UIDS[:4], "never"])]
        await cache.forget(gone, 0)
        assert cache.position == 14
        assert await cache.get([*UNUSUAL_UIDS[:4], "a"]) == documents("a")
        assert await cache.touch([UNUSUAL_UIDS[1], "a"]) == [UNUSUAL_UIDS[1]]

    async def test_what_was_read_before_does_not_come_back(self, new_cache: NewCache) -> None:
        cache = await new_cache(5)
        before = cache.position
        await cache.forget([tombstone("a", 10)], 0)
        await cache.put(documents("a", "b"), before)
        assert await uids_in(cache, "a", "b") == {"b"}
        between = cache.position
        await cache.forget([tombstone("b", 11)], 10)
        await cache.put(documents("b", "c"), between)
        assert await uids_in(cache, "a", "b", "c") == {"c"}
        await cache.put(documents("b"), cache.position)  # stored again, its tombstone was dropped
        assert await uids_in(cache, "b") == {"b"}

    async def test_tombstones_told_twice_change_nothing(self, new_cache: NewCache) -> None:
        cache = await new_cache(5)
        await cache.put(documents("a", "b", "c"))
        for _ in range(2):
            await cache.forget([tombstone("a", 10), tombstone("b", 11)], 0)
        assert cache.position == 11
        assert await uids_in(cache, "a", "b", "c") == {"c"}

    async def test_a_cache_that_has_missed_tombstones_is_emptied(self, new_cache: NewCache) -> None:
        cache = await new_cache(5)
        await cache.put(documents("a", "b"))
        await cache.forget([], 20)  # what came up to 20 it was never told
        assert cache.position == 20
        await cache.put(documents("a", "b"), 19)
        assert await uids_in(cache, "a", "b") == set()
        await cache.put(documents("b"), 20)
        await cache.forget([tombstone("c", 21)], 20)
        assert await uids_in(cache, "a", "b") == {"b"}

    async def test_only_the_latest_tombstones_are_remembered(self, new_cache: NewCache) -> None:
        """Older documents are all refused then."""
        cache = await new_cache(5)
        many = [tombstone(f"uid-{n}", 100 + n) for n in range(MAX_RECENT + 100)]
        for start in range(0, len(many), 1_000):
            chunk = many[start : start + 1_000]
            await cache.forget(chunk, chunk[0].position - 1)
        await cache.put(documents("a"), 150)
        await cache.put(documents("b", "uid-5000"), 3_000)
        await cache.put(documents("c"), cache.position)
        assert await uids_in(cache, "a", "b", "c", "uid-5000") == {"b", "c"}


class CacheContract(CacheBasics, ForgettingContract):
    """What holds of a cache whose capacity is a number of orders."""

    async def test_the_least_recently_put_gives_way(self, new_cache: NewCache) -> None:
        cache = await new_cache(3)
        for uid in "abcd":
            await cache.put(documents(uid))
        assert await uids_in(cache, *"abcd") == set("bcd")

    async def test_the_last_of_one_put_is_the_most_recent(self, new_cache: NewCache) -> None:
        cache = await new_cache(3)
        await cache.put(documents("c", "a", "b"))
        await cache.put(documents("d"))
        assert await uids_in(cache, *"abcd") == set("abd")

    async def test_a_get_makes_recent(self, new_cache: NewCache) -> None:
        cache = await new_cache(3)
        await cache.put(documents(*"abc"))
        await cache.get(["a"])
        await cache.put(documents("d"))
        assert await uids_in(cache, *"abcd") == set("acd")

    async def test_a_get_of_many_makes_recent_in_its_order(self, new_cache: NewCache) -> None:
        cache = await new_cache(3)
        await cache.put(documents(*"abc"))
        await cache.get(["c", "unknown", "b", "a"])
        await cache.put(documents("d"))
        assert await uids_in(cache, *"abcd") == set("abd")

    async def test_a_miss_makes_nothing_recent(self, new_cache: NewCache) -> None:
        cache = await new_cache(2)
        await cache.put(documents("a", "b"))
        await cache.get(["x", "y", "z"])
        assert await uids_in(cache, *"abxyz") == set("ab")

    async def test_putting_again_makes_recent(self, new_cache: NewCache) -> None:
        cache = await new_cache(3)
        await cache.put(documents(*"abc"))
        await cache.put(documents("a"))
        await cache.put(documents("d"))
        assert await uids_in(cache, *"abcd") == set("acd")

    async def test_putting_again_takes_no_second_place(self, new_cache: NewCache) -> None:
        cache = await new_cache(2)
        await cache.put(documents("a", "b"))
        for _ in range(5):
            await cache.put(documents("b"))
        assert await uids_in(cache, "a", "b") == {"a", "b"}

    async def test_a_uid_asked_for_twice_is_found_once(self, new_cache: NewCache) -> None:
        cache = await new_cache(2)
        await cache.put(documents("a", "b"))
        assert await cache.get(["a", "a", "x", "x", "a"]) == documents("a")
        await cache.put(documents("c"))
        assert await uids_in(cache, *"abc") == {"a", "c"}

    async def test_of_more_than_the_capacity_the_last_are_kept(self, new_cache: NewCache) -> None:
        cache = await new_cache(3)
        await cache.put(documents("old"))
        await cache.put(documents(*"abcdefg"))
        assert await uids_in(cache, "old", *"abcdefg") == set("efg")

    async def test_a_capacity_of_one(self, new_cache: NewCache) -> None:
        cache = await new_cache(1)
        await cache.put(documents("a", "b"))
        assert await uids_in(cache, "a", "b") == {"b"}

    async def test_many_callers_at_once(self, new_cache: NewCache) -> None:
        capacity, uids = 5, [f"uid-{n}" for n in range(12)]
        cache = await new_cache(capacity)

        async def put(n: int) -> None:
            chosen = [uids[(n * 7 + k) % len(uids)] for k in range(1 + n % 4)]
            await cache.put({uid: document(uid, n) for uid in chosen})

        async def get(n: int) -> None:
            chosen = [uids[(n * 5 + k) % len(uids)] for k in range(1 + n % 6)]
            for uid, found in (await cache.get(chosen)).items():
                assert uid in chosen
                assert found in {document(uid, other) for other in range(200)}

        await asyncio.gather(*(job(n) for n in range(200) for job in (put, get)))
        held = await cache.get(uids)
        assert len(held) == capacity

    @pytest.mark.parametrize("capacity", [0, -1])
    async def test_a_capacity_below_one_is_refused(
        self, new_cache: NewCache, capacity: int
    ) -> None:
        with pytest.raises(ValueError, match="capacity"):
            await new_cache(capacity)

    async def test_a_touch_makes_recent_in_its_order(self, new_cache: NewCache) -> None:
        cache = await new_cache(3)
        await cache.put(documents(*"abc"))
        assert await cache.touch(["c", "b", "a"]) == []
        await cache.put(documents("d"))
        assert await uids_in(cache, *"abcd") == set("abd")

    async def test_a_touch_tells_what_is_not_kept(self, new_cache: NewCache) -> None:
        cache = await new_cache(3)
        await cache.put(documents("a", "b"))
        assert await cache.touch(["x", "a", "заказ", "b", ""]) == ["x", "заказ", ""]
        assert await uids_in(cache, "x", "a", "b") == {"a", "b"}
        assert await cache.touch([]) == []


_UIDS = st.sampled_from([*"abcdefg", "заказ", "😀"])


class CacheMachine(RuleBasedStateMachine):
    """Does random things with a cache and with a plain model of it; they must never differ.

    All happens in one event loop, as clients of servers want it.
    """

    CAPACITY = 4

    def __init__(self, make: NewCache, done: DoneCache) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.cache = self.runner.run(make(self.CAPACITY))
        self.done = done
        self.model: OrderedDict[str, bytes] = OrderedDict()

    def teardown(self) -> None:
        with self.runner:
            self.runner.run(self.done(self.cache))

    @rule(uids=st.lists(_UIDS, max_size=6))
    def get(self, uids: list[str]) -> None:
        expected = {uid: self.model[uid] for uid in uids if uid in self.model}
        for uid in uids:
            if uid in self.model:
                self.model.move_to_end(uid)

        assert self.runner.run(self.cache.get(uids)) == expected

    @rule(uids=st.lists(_UIDS, max_size=6, unique=True))
    def touch(self, uids: list[str]) -> None:
        expected = [uid for uid in uids if uid not in self.model]
        for uid in uids:
            if uid in self.model:
                self.model.move_to_end(uid)

        assert self.runner.run(self.cache.touch(uids)) == expected

    @rule(given=st.dictionaries(_UIDS, st.integers(0, 9), max_size=6))
    def put(self, given: dict[str, int]) -> None:
        fresh = {uid: document(uid, content) for uid, content in given.items()}
        for uid, value in fresh.items():
            self.model[uid] = value
            self.model.move_to_end(uid)
        while len(self.model) > self.CAPACITY:
            self.model.popitem(last=False)

        self.runner.run(self.cache.put(fresh))


def check_against_model(make: NewCache, done: DoneCache) -> None:
    """Run a ``CacheMachine`` many times."""
    run_state_machine_as_test(
        lambda: CacheMachine(make, done),  # type: ignore[arg-type]
        settings=settings(stateful_step_count=25, suppress_health_check=list(HealthCheck)),
    )
