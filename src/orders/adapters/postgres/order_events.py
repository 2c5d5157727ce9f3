"""The events of orders in PostgreSQL, by the transaction that has written them."""

from collections.abc import Sequence

from orders.adapters.postgres.access import can_read
from orders.adapters.postgres.database import PostgresDatabase
from orders.domain.errors import Unsupported
from orders.domain.order.events import OrderEvent, Position
from orders.domain.order.rules import INT64_MAX, is_storable
from orders.domain.order.summary import CURRENCY_LENGTH, OrderSummary
from orders.domain.ports import OrderEvents

# Fails like the other without the column, or the right to read it.
_HORIZON = b"""
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
           EXISTS (SELECT FROM orders WHERE stored_xid IS NOT NULL)
"""
# By subqueries, which are index scans whatever the planner believes of a join.
_EVENTS = f"""
    SELECT e.stored_xid::text::bigint, e.order_uid, e.forgotten_at IS NOT NULL,
           e.track_number, e.customer_id,
           CASE WHEN e.forgotten_at IS NULL THEN e.date_created END,
           (SELECT p.amount FROM payments p WHERE p.order_uid = e.order_uid),
           (SELECT left(p.currency, {CURRENCY_LENGTH}) FROM payments p
            WHERE p.order_uid = e.order_uid),
           (SELECT coalesce(max(i.position) + 1, 0) FROM items i WHERE i.order_uid = e.order_uid)
    FROM (
        SELECT * FROM orders
        WHERE stored_xid >= %(xid)s::text::xid8
            AND (stored_xid > %(xid)s::text::xid8 OR order_uid > %(uid)s)
            AND stored_xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY stored_xid, order_uid LIMIT %(limit)s
    ) e ORDER BY e.stored_xid, e.order_uid
""".encode()  # noqa: S608 (a constant)


class PostgresOrderEvents(OrderEvents):
    """See ``OrderEvents``. A transaction that writes, in any database of the server, holds it up.

    Not with Citus, where orders become visible on one worker after the other.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def latest_position(self) -> Position:
        """See ``OrderEvents.latest_position``."""
        async with self._database.connection(
            self._database.timeouts.read, requires=can_read
        ) as session:
            if session.citus_version:
                raise Unsupported("there are no events where PostgreSQL has Citus")
            [[horizon, _]] = await (await session.execute(_HORIZON)).fetchall()
            return Position(horizon, "")

    async def events(self, after: Position, limit: int) -> Sequence[OrderEvent]:
        """See ``OrderEvents.events``."""
        if not (0 <= after.transaction <= INT64_MAX and is_storable(after.order_uid)):
            return []
        given = {"xid": str(after.transaction), "uid": after.order_uid, "limit": limit}
        async with self._database.connection(
            self._database.timeouts.read, requires=can_read
        ) as session:
            rows = await (await session.execute(_EVENTS, given)).fetchall()
        return [
            OrderEvent(Position(xid, uid), uid, None if gone else OrderSummary(uid, *rest))
            for xid, uid, gone, *rest in rows
        ]
