"""What every erasure keeps to.

Subclasses give the fixtures ``repository`` (empty) and ``erasure`` on the same store.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from orders.domain.errors import Unavailable
from orders.domain.order.document import encode
from orders.domain.order.queries import CURRENT, Cursor, OrderQuery, View
from orders.domain.order.tombstones import Tombstone
from orders.domain.ports import Erasure, OrderRepository, SaveReport
from tests.contracts.order_repository import (
    NOON,
    assert_holds,
    numbered,
    order_of,
    report,
    uids,
    with_amount,
)

T = TypeVar("T")


def positions(tombstones: list[Tombstone]) -> list[int]:
    return [tombstone.position for tombstone in tombstones]


async def until_done(call: Callable[[T], Awaitable[object]], argument: T) -> None:
    """Repeat it as long as the store cannot: Citus ends some that others would wait for forever."""
    async with asyncio.timeout(30):
        while True:
            with suppress(Unavailable):
                await call(argument)
                return


class ErasureContract:
    @pytest.fixture
    def repository(self) -> OrderRepository:
        raise NotImplementedError

    @pytest.fixture
    def erasure(self, repository: OrderRepository) -> Erasure:
        raise NotImplementedError

    async def test_nothing_is_forgotten_at_first(self, erasure: Erasure) -> None:
        assert await erasure.latest_position() == 0
        assert await erasure.tombstones(0, 5) == []
        assert await erasure.forgotten_among(["a"]) == frozenset()
        assert await erasure.forgotten_among([]) == frozenset()
        assert await erasure.forget([]) == 0
        assert await erasure.latest_position() == 0

    async def test_a_forgotten_order_is_neither_found_nor_listed(
        self, repository: OrderRepository, erasure: Erasure
    ) -> None:
        batch = numbered(9)
        await repository.save_many(batch)
        gone = uids(batch[::2])
        assert await erasure.forget(gone) == len(gone)
        assert await repository.get(gone) == {}
        for query in (OrderQuery(order_uid=gone[0]), OrderQuery(customer_id="")):
            assert (await repository.page(query, 9)).orders == ()
        await assert_holds(repository, batch[1::2])
        assert await erasure.forgotten_among(uids(batch)) == frozenset(gone)

    async def test_what_is_read_says_how_many_tombstones_it_has_seen(
        self, repository: OrderRepository, erasure: Erasure
    ) -> None:
        await repository.save_many(numbered(3))
        for forgotten in ([], ["never"], ["uid-0000"], ["never"]):
            await erasure.forget(forgotten)
            latest = await erasure.latest_position()
            for view in View:
                assert (await repository.page(OrderQuery(view=view), 1)).as_of in {latest, CURRENT}
            assert (await repository.get(["uid-0000", "uid-0001"])).as_of in {latest, CURRENT}

    async def test_it_is_not_stored_again(
        self, repository: OrderRepository, erasure: Erasure
    ) -> None:
        batch = numbered(9)
        await repository.save_many(batch[:6])
        gone = [batch[1], batch[7]]  # one was never stored
        assert await erasure.forget(uids(gone)) == 1
        for again in (batch, gone, gone[:1], [with_amount(order, 1) for order in gone]):
            result = await repository.save_many(again)
            forgotten = frozenset(uids(gone)) & frozenset(uids(again))
            assert result.forgotten == forgotten
            assert not result.conflicts
            assert not result.rejected
            assert result.saved | result.unchanged == set(uids(again)) - forgotten
        await assert_holds(repository, [order for order in batch if order not in gone])

    async def test_what_cannot_be_stored_is_forgotten_all_the_same(
        self, repository: OrderRepository, erasure: Erasure
    ) -> None:
        await erasure.forget(["uid"])
        bad = order_of("uid", entry="a\0b")
        assert await repository.save_many([bad]) == SaveReport(forgotten=frozenset({"uid"}))

    async def test_forgetting_again_renews_the_position(self, erasure: Erasure) -> None:
        assert await erasure.forget(["a", "b", "b"]) == 0
        first = await erasure.tombstones(0, 9)
        assert await erasure.forget(["a"]) == 0
        again = await erasure.tombstones(0, 9)
        assert {each.order_uid for each in again} == {"a", "b"}
        assert again[-1].order_uid == "a"
        assert again[-1].position > max(positions(first))
        assert await erasure.latest_position() == again[-1].position

    async def test_tombstones_come_in_order_and_after_a_position(self, erasure: Erasure) -> None:
        for uid in "cab":
            await erasure.forget([uid])
        await erasure.forget(["y", "x"])
        found = await erasure.tombstones(0, 9)
        assert [each.order_uid for each in found][:3] == ["c", "a", "b"]
        assert positions(found) == sorted(set(positions(found)))
        assert len(found) == 5
        assert await erasure.tombstones(found[1].position, 2) == found[2:4]
        assert await erasure.tombstones(found[-1].position, 2) == []
        assert found[0].position > (datetime.now(UTC) - timedelta(hours=1)).timestamp() * 1e6

    async def test_any_text_can_be_asked_for(self, erasure: Erasure) -> None:
        odd = ["", " ", "заказ", "😀", "a\0", "\ud800", "u" * 255]
        await erasure.forget(odd)
        assert await erasure.forgotten_among([*odd, "other"]) == {
            uid for uid in odd if uid not in {"a\0", "\ud800"}
        }

    async def test_racing_with_writers_of_the_same_orders(
        self, repository: OrderRepository, erasure: Erasure
    ) -> None:
        batch = numbered(40)
        gone = uids(batch[::3])
        saving, forgetting = repository.save_many, erasure.forget
        await asyncio.gather(
            *(until_done(saving, batch[start : start + 20]) for start in range(0, 21, 4)),
            *(until_done(forgetting, gone[start : start + 5]) for start in range(0, len(gone), 3)),
            *(until_done(saving, batch[::-1]) for _ in range(2)),
        )
        left = [order for order in batch if order.order_uid not in gone]
        await assert_holds(repository, left)
        again = await repository.save_many(batch)
        assert again == SaveReport(unchanged=frozenset(uids(left)), forgotten=frozenset(gone))
        found = positions(await erasure.tombstones(0, 100))
        assert found == sorted(set(found))

    async def test_new_orders_after_forgotten_ones(
        self, repository: OrderRepository, erasure: Erasure
    ) -> None:
        old, new = numbered(20, "a"), numbered(20, "b")
        await erasure.forget(uids(old))
        assert (await repository.save_many(old)).forgotten == set(uids(old))
        assert await repository.save_many(new) == report(saved=uids(new))
        await assert_holds(repository, new)

    async def test_the_oldest_come_in_order(
        self, repository: OrderRepository, erasure: Erasure
    ) -> None:
        batch = [
            *numbered(6),
            order_of("zero", datetime(1, 1, 1, tzinfo=UTC)),
            order_of("uid-0003x", NOON + timedelta(seconds=3)),
        ]
        await repository.save_many(batch)
        await erasure.forget(["uid-0001", "never"])
        bound = NOON + timedelta(seconds=4)
        first = await erasure.oldest(bound, 2)
        assert [each.order_uid for each in first] == ["zero", "uid-0000"]
        rest = await erasure.oldest(bound, 9, first[-1])
        assert [each.order_uid for each in rest] == ["uid-0002", "uid-0003", "uid-0003x"]
        assert rest[0] == Cursor(NOON + timedelta(seconds=2), "uid-0002")
        assert await erasure.oldest(bound, 9, rest[-1]) == []

    async def test_old_tombstones_can_be_dropped_but_the_latest(
        self, repository: OrderRepository, erasure: Erasure
    ) -> None:
        order = order_of("a")
        await repository.save_many([order])
        for uid in "abc":
            await erasure.forget([uid])
        now = datetime.now(UTC)
        assert await erasure.drop_tombstones(now - timedelta(hours=1), 9) == 0
        assert await erasure.drop_tombstones(now + timedelta(hours=1), 1) == 1
        assert await repository.save_many([order]) == report(saved=["a"])
        assert await repository.get(["a"]) == {"a": encode(order)}
        assert await erasure.drop_tombstones(now + timedelta(hours=1), 9) == 1
        assert [each.order_uid for each in await erasure.tombstones(0, 9)] == ["c"]
        assert await erasure.drop_tombstones(now + timedelta(hours=1), 9) == 0
