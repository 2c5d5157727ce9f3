"""What every source of order events keeps to.

Subclasses give the fixtures ``repository`` (empty), ``erasure`` and ``order_events`` on the same
store. Events may be late, so they are asked for until they come.
"""

import asyncio

import msgspec
import pytest

from orders.domain.order.events import OrderEvent, Position
from orders.domain.order.queries import OrderQuery, View
from orders.domain.order.summary import OrderSummary, encode_summary, summary_of
from orders.domain.ports import Erasure, OrderEvents, OrderRepository
from tests.contracts.order_repository import NOON, numbered, order_of


async def until_told(source: OrderEvents, after: Position, number: int) -> list[OrderEvent]:
    async with asyncio.timeout(30):
        while len((found := await source.events(after, 1000)).events) < number:  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.01)
    return list(found.events)


class OrderEventsContract:
    @pytest.fixture
    def repository(self) -> OrderRepository:
        raise NotImplementedError

    @pytest.fixture
    def erasure(self, repository: OrderRepository) -> Erasure:
        raise NotImplementedError

    @pytest.fixture
    def order_events(self, repository: OrderRepository) -> OrderEvents:
        raise NotImplementedError

    async def test_a_stored_order_is_told_by_its_summary(
        self, repository: OrderRepository, order_events: OrderEvents
    ) -> None:
        begin = await order_events.latest_position()
        await repository.save_many([order_of("заказ\n1", count=3)])
        [event] = await until_told(order_events, begin, 1)
        assert event.position > begin
        assert event.order_uid == "заказ\n1"
        assert event.summary == OrderSummary(
            "заказ\n1", "TRACK", "test", NOON, amount=1817, currency="USD", item_count=3
        )
        assert not (await order_events.events(event.position, 10)).events
        assert await order_events.latest_position() > event.position

    async def test_summaries_are_short_whatever_the_order_has(
        self, repository: OrderRepository, order_events: OrderEvents
    ) -> None:
        begin = await order_events.latest_position()
        order = order_of("a")
        payment = msgspec.structs.replace(order.payment, currency="€" * 100_000)
        order = msgspec.structs.replace(order, payment=payment)
        await repository.save_many([order])
        [event] = await until_told(order_events, begin, 1)
        assert event.summary == summary_of(order)
        [listed] = (await repository.page(OrderQuery(view=View.SUMMARY), 1)).orders
        assert listed.document == encode_summary(order)
        assert len(listed.document) < 1_000

    @pytest.mark.parametrize("size", [3, 40])
    async def test_a_batch_is_read_page_by_page(
        self, repository: OrderRepository, order_events: OrderEvents, size: int
    ) -> None:
        position = await order_events.latest_position()
        orders = numbered(size)
        await repository.save_many(orders)
        await until_told(order_events, position, size)
        told: list[str] = []
        while page := (await order_events.events(position, 7)).events:
            told += [event.order_uid for event in page]
            position = page[-1].position
        assert told == [order.order_uid for order in orders]

    async def test_what_was_stored_before_a_position_is_not_told(
        self, repository: OrderRepository, order_events: OrderEvents
    ) -> None:
        begin = await order_events.latest_position()
        await repository.save_many([order_of("before")])
        await until_told(order_events, begin, 1)
        later = await order_events.latest_position()
        await repository.save_many([order_of("after"), order_of("before")])
        told = await until_told(order_events, later, 1)
        assert [event.order_uid for event in told] == ["after"]

    async def test_a_forgotten_order_is_told_in_place_of_the_stored_one(
        self, repository: OrderRepository, erasure: Erasure, order_events: OrderEvents
    ) -> None:
        begin = await order_events.latest_position()
        await repository.save_many(numbered(2))
        [first, second] = await until_told(order_events, begin, 2)
        await erasure.forget([first.order_uid, "never stored"])
        told = await until_told(order_events, begin, 3)
        assert [event.order_uid for event in told if event.summary] == [second.order_uid]
        assert {event.order_uid for event in told if not event.summary} == {
            first.order_uid,
            "never stored",
        }
        assert told[0] == second

    async def test_from_its_deletion_on_an_order_is_told_by_no_summary(
        self, repository: OrderRepository, erasure: Erasure, order_events: OrderEvents
    ) -> None:
        begin = await order_events.latest_position()
        await repository.save_many(numbered(2))
        await until_told(order_events, begin, 2)
        before = await order_events.events(begin, 10)
        await erasure.forget(["uid-0000"])
        after = await order_events.events(begin, 10)  # the deletion itself may be told later
        assert [event.order_uid for event in after.events if event.summary] == ["uid-0001"]
        assert before.as_of < after.as_of == await erasure.latest_position()
