"""The cache first, then the store, each by few questions."""

import asyncio
from collections.abc import AsyncIterator, Collection

import pytest

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.read_path.no_cache import NoLocalCache
from orders.adapters.read_path.order_reader import CachedOrderReader
from orders.domain.errors import Unavailable
from orders.domain.order.document import encode
from orders.domain.order.queries import FoundDocuments
from tests.unit.domain.order.reference import REFERENCE, read_document, the_order
from tests.waiting import settle, until

ORDERS = {uid: the_order(read_document(REFERENCE | {"order_uid": uid})) for uid in "abcdef"}
DOCUMENTS = {uid: encode(order) for uid, order in ORDERS.items()}
NOTHING = [f"nothing-{i}" for i in range(30)]


class CountingRepository(MemoryOrderRepository):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        self.asked.append(list(order_uids))
        await asyncio.sleep(0)
        await self.answers.wait()
        return await super().get(order_uids)


class CountingCache(MemoryCache):
    """Remembers what it was asked for."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.asked: list[list[str]] = []
        self.was_asked = asyncio.Event()

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        self.asked.append(list(order_uids))
        self.was_asked.set()
        return await super().get(order_uids)


@pytest.fixture
async def repository() -> CountingRepository:
    repository = CountingRepository()
    await repository.save_many(list(ORDERS.values()))
    return repository


@pytest.fixture
def cache() -> CountingCache:
    return CountingCache(5)


@pytest.fixture
def bypass_seconds() -> float:
    return 3600  # nothing is over because a machine is slow


@pytest.fixture
def slow_after() -> float:
    return 3600


@pytest.fixture
async def reader(
    repository: CountingRepository, cache: CountingCache, bypass_seconds: float, slow_after: float
) -> AsyncIterator[CachedOrderReader]:
    reader = CachedOrderReader(
        repository,
        cache,
        NoLocalCache(cache),
        bypass_seconds=bypass_seconds,
        slow_after=slow_after,
    )
    await reader.open()
    yield reader
    await reader.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_store_is_asked_once(
    reader: CachedOrderReader, repository: CountingRepository
) -> None:
    for _ in range(5):
        assert await reader.get(["a"]) == {"a": DOCUMENTS["a"]}
    assert repository.asked == [["a"]]


async def test_the_store_is_asked_for_what_is_missing_only(
    reader: CachedOrderReader, repository: CountingRepository
) -> None:
    await reader.get(["a"])
    assert await reader.get(["b", "a", "unknown"]) == {x: DOCUMENTS[x] for x in ("a", "b")}
    assert repository.asked == [["a"], ["b", "unknown"]]


async def test_what_does_not_exist_is_not_remembered(
    reader: CachedOrderReader, repository: CountingRepository
) -> None:
    assert await reader.get(["new"]) == {}
    order = the_order(read_document(REFERENCE | {"order_uid": "new"}))
    await repository.save_many([order])
    assert await reader.get(["new"]) == {"new": encode(order)}


async def test_with_the_store_down_cached_orders_are_served(
    reader: CachedOrderReader, repository: CountingRepository
) -> None:
    await reader.get(["a"])
    repository.available = False
    assert await reader.get(["a"]) == {"a": DOCUMENTS["a"]}
    with pytest.raises(Unavailable):
        await reader.get(["a", "b"])


async def test_with_the_cache_down_the_store_answers(
    reader: CachedOrderReader, cache: MemoryCache
) -> None:
    cache.available = False
    assert await reader.get(list(DOCUMENTS)) == DOCUMENTS


async def test_a_cache_that_goes_down_meanwhile_does_not_matter(
    repository: CountingRepository,
) -> None:
    class Fading(MemoryCache):
        async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
            found = await super().get(order_uids)
            self.available = False
            return found

    fading = Fading(3)
    assert await CachedOrderReader(repository, fading, NoLocalCache(fading)).get(["a"]) == {
        "a": DOCUMENTS["a"]
    }


async def test_with_both_down_there_is_no_answer(
    reader: CachedOrderReader, repository: CountingRepository, cache: MemoryCache
) -> None:
    cache.available = repository.available = False
    with pytest.raises(Unavailable):
        await reader.get(["a"])


async def test_many_look_ups_share_few_queries(
    reader: CachedOrderReader, repository: CountingRepository, cache: CountingCache
) -> None:
    uids = [*DOCUMENTS, "x"]
    answers = await asyncio.gather(*(reader.get([uids[i % len(uids)]]) for i in range(600)))
    assert answers == [
        {uid: DOCUMENTS[uid]} if (uid := uids[i % len(uids)]) in DOCUMENTS else {}
        for i in range(600)
    ]
    assert len(cache.asked) + len(repository.asked) <= 4


async def test_after_its_end_it_says_that_it_is_over(reader: CachedOrderReader) -> None:
    await reader.close()
    with pytest.raises(Unavailable):
        await reader.get(["a"])
    await reader.open()
    assert await reader.get(["a"]) == {"a": DOCUMENTS["a"]}


class TestUselessCache:
    """Where the cache has nothing of what is asked for."""

    @pytest.fixture(autouse=True)
    async def in_vain(self, reader: CachedOrderReader, cache: CountingCache) -> None:
        await cache.put({"held": b"{}"})
        for uid in NOTHING:
            assert await reader.get([uid]) == {}
        cache.asked.clear()

    async def test_it_is_bypassed(self, reader: CachedOrderReader, cache: CountingCache) -> None:
        assert await reader.get(["a"]) == {"a": DOCUMENTS["a"]}
        assert cache.asked == []

    @pytest.mark.parametrize("bypass_seconds", [0.05])
    async def test_it_is_asked_again_after_a_while(
        self, reader: CachedOrderReader, cache: CountingCache
    ) -> None:
        async def is_asked_again() -> bool:
            await reader.get(["b"])
            return cache.asked == [["b"]]

        await until(is_asked_again)

    async def test_what_is_read_meanwhile_is_put(
        self, reader: CachedOrderReader, cache: CountingCache
    ) -> None:
        await reader.get(["a"])
        assert await cache.get(["a"]) == {"a": DOCUMENTS["a"]}

    async def test_with_the_store_down_a_bypassed_cache_is_queried(
        self, reader: CachedOrderReader, repository: CountingRepository
    ) -> None:
        repository.available = False
        held, failed = await asyncio.gather(
            reader.get(["held"]), reader.get(["a"]), return_exceptions=True
        )
        assert held == {"held": b"{}"}
        assert isinstance(failed, Unavailable)

    async def test_and_is_asked_first_again_until_the_store_is_back(
        self, reader: CachedOrderReader, repository: CountingRepository, cache: CountingCache
    ) -> None:
        repository.available = False
        with pytest.raises(Unavailable):
            await reader.get(["a"])
        repository.asked.clear()
        assert await reader.get(["held"]) == {"held": b"{}"}
        assert repository.asked == []
        repository.available = True
        assert await reader.get(["a"]) == {"a": DOCUMENTS["a"]}
        cache.asked.clear()
        assert await reader.get(["b"]) == {"b": DOCUMENTS["b"]}
        assert cache.asked == []

    @pytest.mark.parametrize("slow_after", [0.1])
    async def test_with_a_store_that_does_not_answer_what_it_holds_is_served_all_the_same(
        self, reader: CachedOrderReader, repository: CountingRepository
    ) -> None:
        repository.answers.clear()
        stuck = [asyncio.create_task(reader.get([uid])) for uid in ("a", "b")]
        await settle()  # both questions are out
        gathering, waiting = (asyncio.create_task(reader.get([uid])) for uid in ("held", "a"))
        assert await asyncio.wait_for(gathering, 5) == {"held": b"{}"}
        assert not any(one.done() for one in (*stuck, waiting))
        # And from now on at once.
        assert await asyncio.wait_for(reader.get(["held"]), 5) == {"held": b"{}"}
        repository.answers.set()
        assert await asyncio.gather(*stuck, waiting) == [{u: DOCUMENTS[u]} for u in ("a", "b", "a")]

    @pytest.mark.parametrize("slow_after", [0.1])
    async def test_who_is_out_with_a_question_to_such_a_store_is_served_too(
        self, reader: CachedOrderReader, repository: CountingRepository
    ) -> None:
        repository.answers.clear()
        early = asyncio.create_task(reader.get(["held"]))
        await settle()
        late = asyncio.create_task(reader.get(["held"]))
        for one in (early, late):
            assert await asyncio.wait_for(one, 5) == {"held": b"{}"}
        repository.answers.set()

    @pytest.mark.parametrize("slow_after", [0.1])
    async def test_an_order_cached_meanwhile_is_served(
        self, reader: CachedOrderReader, repository: CountingRepository, cache: CountingCache
    ) -> None:
        repository.answers.clear()
        cache.was_asked.clear()
        one = asyncio.create_task(reader.get(["new"]))
        await asyncio.wait_for(cache.was_asked.wait(), 10)  # in vain
        await cache.put({"new": b"{}"})
        assert await asyncio.wait_for(one, 10) == {"new": b"{}"}
        repository.answers.set()

    @pytest.mark.parametrize("bypass_seconds", [0.05])
    async def test_where_it_holds_something_again_it_is_asked_first(
        self, reader: CachedOrderReader, repository: CountingRepository, cache: CountingCache
    ) -> None:
        await cache.put({"a": DOCUMENTS["a"]})

        async def is_asked_again() -> bool:
            await reader.get(["a"])
            return ["a"] in cache.asked

        await until(is_asked_again)
        repository.asked.clear()
        for _ in range(20):
            assert await reader.get(["held"]) == {"held": b"{}"}
        assert repository.asked == []
