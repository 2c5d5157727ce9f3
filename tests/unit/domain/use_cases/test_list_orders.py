"""Lists: one page, or all of them bit by bit."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.errors import Unavailable
from orders.domain.model import Order
from orders.domain.queries import OrderQuery
from orders.domain.use_cases.list_orders import CHUNK, ListOrders
from tests.unit.domain.reference import REFERENCE, read_document, the_order

REFERENCE_ORDER = the_order(read_document(REFERENCE))
START = datetime(2024, 1, 1, tzinfo=UTC)


def order(n: int) -> Order:
    return msgspec.structs.replace(
        REFERENCE_ORDER,
        order_uid=f"uid-{n:05}",
        customer_id=f"customer-{n % 2}",
        date_created=START + timedelta(seconds=n),
    )


async def uids(list_orders: ListOrders, query: OrderQuery) -> list[list[str]]:
    return [[o.order_uid for o in chunk] async for chunk in list_orders.stream(query)]


@pytest.mark.parametrize("amount", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 3])
async def test_a_stream_is_all_orders_newest_first_in_chunks_none_empty(
    repository: MemoryOrderRepository, amount: int
) -> None:
    await repository.save_many([order(n) for n in range(amount)])
    chunks = await uids(ListOrders(repository), OrderQuery())
    assert [uid for chunk in chunks for uid in chunk] == [
        f"uid-{n:05}" for n in reversed(range(amount))
    ]
    assert all(1 <= len(chunk) <= CHUNK for chunk in chunks)


async def test_a_stream_is_filtered(repository: MemoryOrderRepository) -> None:
    await repository.save_many([order(n) for n in range(CHUNK * 2)])
    query = OrderQuery(customer_id="customer-1", created_to=START + timedelta(seconds=6))
    assert await uids(ListOrders(repository), query) == [["uid-00005", "uid-00003", "uid-00001"]]


async def test_newer_orders_that_come_meanwhile_do_not_disturb_a_stream(
    repository: MemoryOrderRepository,
) -> None:
    await repository.save_many([order(n) for n in range(CHUNK + 10)])
    seen = []
    async for chunk in ListOrders(repository).stream(OrderQuery()):
        seen += [o.order_uid for o in chunk]
        await repository.save_many([order(5000 + len(seen))])
    assert seen == [f"uid-{n:05}" for n in reversed(range(CHUNK + 10))]


async def test_pages_follow_each_other(repository: MemoryOrderRepository) -> None:
    await repository.save_many([order(n) for n in range(5)])
    list_orders = ListOrders(repository)
    first = await list_orders.page(OrderQuery(), 2)
    second = await list_orders.page(OrderQuery(), 2, first.next)
    third = await list_orders.page(OrderQuery(), 2, second.next)
    pages = [[o.order_uid[-1] for o in page.orders] for page in (first, second, third)]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]
    assert third.next is None


async def test_with_the_store_away_a_stream_says_so(repository: MemoryOrderRepository) -> None:
    repository.available = False
    with pytest.raises(Unavailable):
        await uids(ListOrders(repository), OrderQuery())
