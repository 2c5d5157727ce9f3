"""One order by its uid."""

from collections.abc import Sequence

import pytest

from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.errors import NotFound, Unavailable
from orders.domain.order.document import encode, hex_digest
from orders.domain.order.tombstones import Tombstone
from orders.domain.ports import CachedDocument, LocalCache
from orders.domain.use_cases.look_up_order import LookUpOrder
from tests.unit.domain.order.reference import REFERENCE, read_document, the_order

ORDERS = {
    uid: the_order(read_document(REFERENCE | {"order_uid": uid})) for uid in ("a", "b", "ё/😀")
}
DOCUMENTS = {uid: encode(order) for uid, order in ORDERS.items()}


class OneOrder(LocalCache):
    """Holds one of them."""

    def peek(self, order_uid: str) -> CachedDocument | None:
        return (
            CachedDocument(DOCUMENTS["a"], hex_digest(DOCUMENTS["a"])) if order_uid == "a" else None
        )

    def forget(self, tombstones: Sequence[Tombstone], since: int) -> None:
        raise AssertionError


@pytest.fixture
async def repository() -> MemoryOrderRepository:
    repository = MemoryOrderRepository()
    await repository.save_many(list(ORDERS.values()))
    return repository


@pytest.mark.parametrize("uid", ORDERS)
async def test_finds_its_canonical_bytes(repository: MemoryOrderRepository, uid: str) -> None:
    assert await LookUpOrder(repository, OneOrder())(uid) == DOCUMENTS[uid]


@pytest.mark.parametrize("uid", ["", "A", "a ", "unknown", "..", "\0"])
async def test_what_is_not_there_is_not_found(repository: MemoryOrderRepository, uid: str) -> None:
    with pytest.raises(NotFound) as caught:
        await LookUpOrder(repository, OneOrder())(uid)
    assert str(caught.value) == "no order with this order_uid"


async def test_with_the_store_down_only_what_is_cached_is_known(
    repository: MemoryOrderRepository,
) -> None:
    repository.available = False
    look_up = LookUpOrder(repository, OneOrder())
    cached = look_up.peek("a")
    assert cached is not None
    assert cached.document == DOCUMENTS["a"]
    assert look_up.peek("b") is None
    with pytest.raises(Unavailable):
        await look_up("b")
