"""Lists: one page, or all of them bit by bit."""

import asyncio
import gc
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.errors import Overloaded, Unavailable
from orders.domain.order.model import Order
from orders.domain.order.queries import Cursor, OrderQuery, Page
from orders.domain.order.tombstones import RecentTombstones
from orders.domain.use_cases.list_orders import (
    CHUNK,
    FIRST_CHUNK,
    OF_ONE_CLIENT,
    READ_AT_ONCE,
    ListOrders,
)
from tests.unit.domain.order.reference import REFERENCE, read_document, the_order
from tests.waiting import settle

REFERENCE_ORDER = the_order(read_document(REFERENCE))
START = datetime(2024, 1, 1, tzinfo=UTC)


def order(n: int) -> Order:
    return msgspec.structs.replace(
        REFERENCE_ORDER,
        order_uid=f"uid-{n:05}",
        customer_id=f"customer-{n % 2}",
        date_created=START + timedelta(seconds=n),
    )


def lists_of(repository: MemoryOrderRepository, **options: float) -> ListOrders:
    return ListOrders(repository, RecentTombstones(), **options)


async def uids(list_orders: ListOrders, query: OrderQuery, client: str = "") -> list[list[str]]:
    stream = list_orders.stream(query, client=client)
    return [[order.order_uid for order in chunk] async for chunk in stream]


@pytest.mark.parametrize(
    "amount",
    [0, 1, FIRST_CHUNK, FIRST_CHUNK + 1, FIRST_CHUNK + CHUNK, FIRST_CHUNK + CHUNK + 1, 3 * CHUNK],
)
async def test_a_stream_is_all_orders_newest_first_in_chunks_none_empty(
    repository: MemoryOrderRepository, amount: int
) -> None:
    await repository.save_many([order(n) for n in range(amount)])
    chunks = await uids(lists_of(repository), OrderQuery())
    assert [uid for chunk in chunks for uid in chunk] == [
        f"uid-{n:05}" for n in reversed(range(amount))
    ]
    assert all(1 <= len(chunk) <= CHUNK for chunk in chunks)
    assert not chunks or len(chunks[0]) == min(amount, FIRST_CHUNK)


async def test_a_stream_is_filtered(repository: MemoryOrderRepository) -> None:
    await repository.save_many([order(n) for n in range(CHUNK * 2)])
    query = OrderQuery(customer_id="customer-1", created_to=START + timedelta(seconds=6))
    assert await uids(lists_of(repository), query) == [["uid-00005", "uid-00003", "uid-00001"]]


async def test_newer_orders_that_come_meanwhile_do_not_disturb_a_stream(
    repository: MemoryOrderRepository,
) -> None:
    await repository.save_many([order(n) for n in range(CHUNK + 10)])
    seen = []
    async for chunk in lists_of(repository).stream(OrderQuery()):
        seen += [o.order_uid for o in chunk]
        await repository.save_many([order(5000 + len(seen))])
    assert seen == [f"uid-{n:05}" for n in reversed(range(CHUNK + 10))]


async def test_pages_follow_each_other(repository: MemoryOrderRepository) -> None:
    await repository.save_many([order(n) for n in range(5)])
    list_orders = lists_of(repository)
    first = await list_orders.page(OrderQuery(), 2)
    second = await list_orders.page(OrderQuery(), 2, first.next)
    third = await list_orders.page(OrderQuery(), 2, second.next)
    pages = [[o.order_uid[-1] for o in page.orders] for page in (first, second, third)]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]
    assert third.next is None


async def test_with_the_store_away_a_stream_says_so(repository: MemoryOrderRepository) -> None:
    repository.available = False
    with pytest.raises(Unavailable):
        await uids(lists_of(repository), OrderQuery())


class Watched(MemoryOrderRepository):
    """Counts the reads that go on at the same time, beyond the first chunks."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = self.most = 0
        self.failures = 0

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        if after is None:
            return await super().page(query, limit)
        self.reading += 1
        self.most = max(self.most, self.reading)
        try:
            await asyncio.sleep(0)
            if self.failures:
                self.failures -= 1
                raise Unavailable("away")
            return await super().page(query, limit, after)
        finally:
            self.reading -= 1


async def test_ten_streams_take_turns_in_reading() -> None:
    repository = Watched()
    await repository.save_many([order(n) for n in range(FIRST_CHUNK + 3 * CHUNK)])
    list_orders = lists_of(repository)
    found = await asyncio.gather(*(uids(list_orders, OrderQuery()) for _ in range(10)))
    assert repository.most == OF_ONE_CLIENT
    assert all(len(chunks) == 4 for chunks in found)


async def test_streams_whose_readers_wait_or_leave_or_fail_take_up_no_turn() -> None:
    repository = Watched()
    await repository.save_many([order(n) for n in range(FIRST_CHUNK + 3 * CHUNK)])
    list_orders = lists_of(repository)
    waiting = [list_orders.stream(OrderQuery()) for _ in range(2 * OF_ONE_CLIENT)]
    for stream in waiting:
        await anext(stream)
        await anext(stream)
    leaving = [asyncio.create_task(uids(list_orders, OrderQuery())) for _ in range(4)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    await asyncio.wait(leaving)
    repository.failures = 2 * OF_ONE_CLIENT
    for _ in range(2 * OF_ONE_CLIENT):
        with pytest.raises(Unavailable):
            await uids(list_orders, OrderQuery())
    assert len(await asyncio.wait_for(uids(list_orders, OrderQuery()), 5)) == 4


class Held(MemoryOrderRepository):
    """Gives pages only when it may, and counts those that are read at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = self.most = 0
        self.is_full, self.may_answer = asyncio.Event(), asyncio.Event()

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        self.reading += 1
        self.most = max(self.most, self.reading)
        if self.reading == READ_AT_ONCE:
            self.is_full.set()
        try:
            await self.may_answer.wait()
            return await super().page(query, limit, after)
        finally:
            self.reading -= 1


async def test_pages_and_first_chunks_take_turns_so_that_others_find_a_connection() -> None:
    repository = Held()
    await repository.save_many([order(n) for n in range(3)])
    list_orders = lists_of(repository)
    pages = [
        asyncio.create_task(list_orders.page(OrderQuery(), 2, client=f"{n}")) for n in range(20)
    ]
    streams = [asyncio.create_task(uids(list_orders, OrderQuery(), f"{n}")) for n in range(20)]
    await repository.is_full.wait()
    for task in (*pages[:3], *streams[:3]):
        task.cancel()
    repository.may_answer.set()
    await asyncio.wait([*pages, *streams])
    assert repository.most == READ_AT_ONCE
    assert all(len(task.result().orders) == 2 for task in pages[3:])
    assert all(len(task.result()[0]) == 3 for task in streams[3:])


async def test_the_pages_of_one_client_leave_turns_to_others() -> None:
    repository = Held()
    list_orders = lists_of(repository)
    many = [asyncio.create_task(list_orders.page(OrderQuery(), 2, client="a")) for _ in range(20)]
    await settle()
    assert repository.reading == OF_ONE_CLIENT
    other = asyncio.create_task(list_orders.page(OrderQuery(), 2, client="b"))
    await settle()
    assert repository.reading == OF_ONE_CLIENT + 1
    many.pop().cancel()
    many.pop(0).cancel()
    repository.may_answer.set()
    await asyncio.gather(*many, other)
    assert repository.most == OF_ONE_CLIENT + 1
    gc.collect()
    assert not list_orders._turns_of_clients  # nothing is kept of clients


async def test_whoever_waits_too_long_for_a_turn_is_told_so() -> None:
    repository = Held()
    list_orders = lists_of(repository, longest_wait=0.01)
    reading = [
        asyncio.create_task(list_orders.page(OrderQuery(), 2, client=f"{n}"))
        for n in range(READ_AT_ONCE)
    ]
    await repository.is_full.wait()
    for late in (list_orders.page(OrderQuery(), 2), uids(list_orders, OrderQuery())):
        with pytest.raises(Overloaded):
            await asyncio.wait_for(late, 5)
    repository.may_answer.set()
    await asyncio.gather(*reading)
    assert (await list_orders.page(OrderQuery(), 2)).orders == ()
