"""One order by its uid, from the cache or from the store behind it."""

from collections.abc import Collection

import pytest

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.cached_reader import CachedReader
from orders.domain.document import encode
from orders.domain.errors import NotFound, Unavailable
from orders.domain.use_cases.look_up_order import LookUpOrder
from tests.unit.domain.reference import REFERENCE, read_document, the_order

ORDERS = {
    uid: the_order(read_document(REFERENCE | {"order_uid": uid})) for uid in ("a", "b", "ё/😀")
}
DOCUMENTS = {uid: encode(order) for uid, order in ORDERS.items()}


class CountingRepository(MemoryOrderRepository):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        self.asked.append(list(order_uids))
        return await super().get(order_uids)


@pytest.fixture
async def repository() -> CountingRepository:
    repository = CountingRepository()
    await repository.save_many(list(ORDERS.values()))
    return repository


@pytest.fixture
def reader(repository: CountingRepository, cache: MemoryCache) -> CachedReader:
    return CachedReader(repository, cache)


class TestLookUpOrder:
    @pytest.mark.parametrize("uid", ORDERS)
    async def test_finds_its_canonical_bytes(self, reader: CachedReader, uid: str) -> None:
        assert await LookUpOrder(reader)(uid) == DOCUMENTS[uid]

    @pytest.mark.parametrize("uid", ["", "A", "a ", "unknown", "..", "\0"])
    async def test_what_is_not_there_is_not_found(self, reader: CachedReader, uid: str) -> None:
        with pytest.raises(NotFound) as caught:
            await LookUpOrder(reader)(uid)
        assert str(caught.value) == "no order with this order_uid"

    async def test_a_miss_with_the_store_away_is_no_answer(
        self, reader: CachedReader, repository: CountingRepository
    ) -> None:
        repository.available = False
        with pytest.raises(Unavailable):
            await LookUpOrder(reader)("a")


class TestCachedReader:
    async def test_the_store_is_asked_once(
        self, reader: CachedReader, repository: CountingRepository
    ) -> None:
        for _ in range(5):
            assert await reader.get(["a"]) == {"a": DOCUMENTS["a"]}
        assert repository.asked == [["a"]]

    async def test_the_store_is_asked_for_what_is_missing_only(
        self, reader: CachedReader, repository: CountingRepository
    ) -> None:
        await reader.get(["a"])
        assert await reader.get(["b", "a", "unknown"]) == {x: DOCUMENTS[x] for x in ("a", "b")}
        assert repository.asked == [["a"], ["b", "unknown"]]

    async def test_what_does_not_exist_is_not_remembered(
        self, reader: CachedReader, repository: CountingRepository
    ) -> None:
        assert await reader.get(["new"]) == {}
        order = the_order(read_document(REFERENCE | {"order_uid": "new"}))
        await repository.save_many([order])
        assert await reader.get(["new"]) == {"new": encode(order)}

    async def test_with_the_store_away_what_the_cache_holds_is_served(
        self, reader: CachedReader, repository: CountingRepository
    ) -> None:
        await reader.get(["a"])
        repository.available = False
        assert await reader.get(["a"]) == {"a": DOCUMENTS["a"]}
        with pytest.raises(Unavailable):
            await reader.get(["a", "b"])

    async def test_with_the_cache_away_the_store_answers(
        self, reader: CachedReader, cache: MemoryCache
    ) -> None:
        cache.available = False
        assert await reader.get(list(DOCUMENTS)) == DOCUMENTS

    async def test_a_cache_that_goes_away_meanwhile_does_not_matter(
        self, repository: CountingRepository
    ) -> None:
        class Fading(MemoryCache):
            async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
                found = await super().get(order_uids)
                self.available = False
                return found

        assert await CachedReader(repository, Fading(3)).get(["a"]) == {"a": DOCUMENTS["a"]}

    async def test_with_both_away_there_is_no_answer(
        self, reader: CachedReader, repository: CountingRepository, cache: MemoryCache
    ) -> None:
        cache.available = repository.available = False
        with pytest.raises(Unavailable):
            await reader.get(["a"])
