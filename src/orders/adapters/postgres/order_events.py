"""The events of orders in PostgreSQL, by the transaction that has written them."""

from psycopg import sql

from orders.adapters.postgres.access import can_read
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.erasure import position_of
from orders.adapters.postgres.read_sql import LATEST_TOMBSTONE, summary_fields
from orders.domain.errors import Unsupported
from orders.domain.order.events import EventPage, OrderEvent, Position
from orders.domain.order.rules import INT64_MAX, is_storable
from orders.domain.order.summary import OrderSummary
from orders.domain.ports import OrderEvents

# Fails like the other without the column, or the right to read it.
_HORIZON = b"""
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
           EXISTS (SELECT FROM orders WHERE stored_xid IS NOT NULL)
"""
_EVENTS = (
    sql.SQL("""
    SELECT ({latest}), o.stored_xid::text::bigint, o.forgotten_at IS NOT NULL, {summary} FROM (
        SELECT * FROM orders
        WHERE stored_xid >= %(xid)s::text::xid8
            AND (stored_xid > %(xid)s::text::xid8 OR order_uid > %(uid)s)
            AND stored_xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY stored_xid, order_uid LIMIT %(limit)s
    ) o ORDER BY o.stored_xid, o.order_uid
    """)
    .format(
        latest=sql.SQL(LATEST_TOMBSTONE),
        summary=summary_fields(
            date_created=sql.SQL("CASE WHEN o.forgotten_at IS NULL THEN o.date_created END")
        ),
    )
    .as_bytes()
)


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

    async def events(self, after: Position, limit: int) -> EventPage:
        """See ``OrderEvents.events``."""
        if not (0 <= after.transaction <= INT64_MAX and is_storable(after.order_uid)):
            return EventPage([], 0)
        given = {"xid": str(after.transaction), "uid": after.order_uid, "limit": limit}
        async with self._database.connection(
            self._database.timeouts.read, requires=can_read
        ) as session:
            rows = await (await session.execute(_EVENTS, given)).fetchall()
            is_primary = session.is_primary
        events = [
            OrderEvent(Position(xid, uid), uid, None if gone else OrderSummary(uid, *rest))
            for _, xid, gone, uid, *rest in rows
        ]
        latest = rows[0][0] if rows else None
        as_of = position_of(latest) if latest else 0
        return EventPage(events, as_of, is_of_standby=not is_primary)
