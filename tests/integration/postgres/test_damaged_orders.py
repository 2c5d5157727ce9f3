"""An order that has lost a row, as after a partial restore, is an error, not half a document."""

import psycopg
import pytest
import structlog

from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.domain.errors import DamagedOrder
from orders.domain.order.document import encode
from orders.domain.order.queries import OrderQuery, View
from tests.contracts.order_repository import newest, numbered

EVENT = "stored order is incomplete"


@pytest.mark.parametrize("table", ["delivery", "payments"])
async def test_is_refused_alone_and_logged_once(
    order_repository: PostgresOrderRepository, admin: psycopg.AsyncConnection, table: str
) -> None:
    whole, damaged, other = numbered(3)
    await order_repository.save_many([whole, damaged, other])
    await admin.execute(f"DELETE FROM {table} WHERE order_uid = %s", [damaged.order_uid])
    with structlog.testing.capture_logs() as lines:
        for uids in ([damaged.order_uid], [whole.order_uid, damaged.order_uid]):
            with pytest.raises(DamagedOrder, match=f"no row in {table}"):
                await order_repository.get(uids)
        assert await order_repository.get([whole.order_uid]) == {whole.order_uid: encode(whole)}
        # Lists have the others: one damaged order must not make all of them inaccessible.
        page = await order_repository.page(OrderQuery(), 2)
        rest = await order_repository.page(OrderQuery(), 2, page.next)
        found = [*page.orders, *rest.orders]
        assert {order.order_uid for order in found} == {whole.order_uid, other.order_uid}
        assert await newest(order_repository, 3) == found
        lines_of = await order_repository.page(OrderQuery(view=View.SUMMARY), 3)
        # Summaries do not read deliveries.
        is_listed = damaged.order_uid in {order.order_uid for order in lines_of.orders}
        assert (is_listed, len(lines_of.orders)) == (
            (True, 3) if table == "delivery" else (False, 2)
        )
    logged = [line for line in lines if line["event"] == EVENT]
    assert [(line["order_uid"], line["count"]) for line in logged] == [(damaged.order_uid, 1)]


async def test_that_arrives_again_is_rejected_and_no_conflict(
    order_repository: PostgresOrderRepository, admin: psycopg.AsyncConnection
) -> None:
    whole, damaged = numbered(2)
    await order_repository.save_many([whole, damaged])
    await admin.execute("DELETE FROM payments WHERE order_uid = %s", [damaged.order_uid])
    report = await order_repository.save_many([whole, damaged])
    assert report.unchanged == {whole.order_uid}
    assert "no row in payments" in report.rejected[damaged.order_uid]


async def test_a_text_that_looks_like_damage_is_none(
    order_repository: PostgresOrderRepository,
) -> None:
    (order,) = numbered(1)
    text = '"delivery":null,"payment":null,'
    order = type(order)(**{f: getattr(order, f) for f in order.__struct_fields__} | {"entry": text})
    await order_repository.save_many([order])
    assert await order_repository.get([order.order_uid]) == {order.order_uid: encode(order)}
