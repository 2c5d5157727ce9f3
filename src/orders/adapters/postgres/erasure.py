"""Erases orders in PostgreSQL, plain or with Citus, and leaves tombstones in table ``orders``."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from psycopg import sql

from orders.adapters.postgres.access import can_erase, can_read
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.read_sql import LATEST_TOMBSTONE, NO_TOMBSTONE
from orders.adapters.postgres.session import Session
from orders.adapters.postgres.tables import FORGOTTEN_AT, STORED_XID, TABLES
from orders.domain.order.queries import Cursor
from orders.domain.order.rules import is_storable
from orders.domain.order.tombstones import Tombstone
from orders.domain.ports import Erasure

_LOCK = 0x6F72646572730002
"""Key of the advisory lock under which positions are given, so that they are visible in order."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_ORDERS, *_PARTS = TABLES
_EMPTY = {"text": "''", "int8": "0", "timestamptz": "'-infinity'"}

# The clock may have been set back since the latest tombstone.
_NEXT_POSITION = """
    SELECT greatest(clock_timestamp(), max(forgotten_at) + interval '1 microsecond')
    FROM orders WHERE forgotten_at IS NOT NULL
"""
# Waits for a transaction that stores the order, and then empties what that has stored. One that
# comes later finds the key.
_BURY = (
    sql.SQL(
        "INSERT INTO orders ({columns}) VALUES ({values})"
        " ON CONFLICT (order_uid) DO UPDATE SET {changes}"
    )
    .format(
        columns=sql.SQL(", ").join(map(sql.Identifier, (*_ORDERS.columns, FORGOTTEN_AT))),
        values=sql.SQL(", ").join(
            [
                sql.Placeholder() if name == "order_uid" else sql.SQL(_EMPTY[kind])
                for name, kind in zip(_ORDERS.columns, _ORDERS.types, strict=True)
            ]
            + [sql.Placeholder()]
        ),
        changes=sql.SQL(", ").join(
            sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name))
            for name in (*_ORDERS.columns, FORGOTTEN_AT, STORED_XID)
            if name != "order_uid"
        ),
    )
    .as_bytes()
)
_DELETE_PARTS = {
    table.name: sql.SQL("DELETE FROM {} WHERE order_uid = ANY(%s::text[])")
    .format(sql.Identifier(table.name))
    .as_bytes()
    for table in _PARTS
}
_MAX_ITEMS = 100_000
"""Items that are deleted by one statement, unless a single order has more. An order has some 7,000
at most; a statement has the time for millions."""
# The index tells the last position of an order's items; to count them, all would be read.
_ITEM_COUNTS = """
    SELECT o.order_uid, (
        SELECT coalesce(max(t.position) + 1, 0) FROM items t WHERE t.order_uid = o.order_uid
    ) FROM orders o WHERE o.order_uid = ANY(%s::text[])
"""
_ONE_ROW = ("delivery", "payments")
"""Tables with one row for each order."""
_AFTER = """
    SELECT order_uid, forgotten_at FROM orders WHERE forgotten_at > %s
    ORDER BY forgotten_at LIMIT %s
"""
# Without a condition on forgotten_at, which would be looked for in the index of all tombstones.
_TOMBSTONES_AMONG = "SELECT order_uid, forgotten_at FROM orders WHERE order_uid = ANY(%s::text[])"
_OLDEST = (
    f"SELECT o.date_created, o.order_uid FROM orders o WHERE o.date_created < %s AND {NO_TOMBSTONE}"  # noqa: S608 (constants)
    " {after} ORDER BY o.date_created, o.order_uid LIMIT %s"
)
_OLD_TOMBSTONES = """
    SELECT forgotten_at FROM orders WHERE forgotten_at < %s ORDER BY forgotten_at LIMIT %s
"""
_DROP = "DELETE FROM orders WHERE forgotten_at <= %s"


class PostgresErasure(Erasure):
    """See ``Erasure``. Safe for concurrent use, also with writers of the same orders."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def forget(self, order_uids: Collection[str]) -> int:
        """See ``Erasure.forget``."""
        # In the order of code points, as orders are saved: otherwise both could deadlock.
        uids = sorted(filter(is_storable, set(order_uids)))
        if not uids:
            return 0
        async with self._database.connection(
            self._database.timeouts.write, requires=can_erase
        ) as session:
            cursor = await session.execute(_ITEM_COUNTS.encode(), [uids])
            items: dict[str, int] = dict(await cursor.fetchall())
            stored = 0
            for some in _bounded(uids, items):
                stored += await _bury(session, some)
        return stored

    async def latest_position(self) -> int:
        """See ``Erasure.latest_position``."""
        async with self._database.connection(
            self._database.timeouts.read, requires=can_read
        ) as session:
            latest = await _instant(session, LATEST_TOMBSTONE)
        return position_of(latest) if latest else 0

    async def tombstones(self, after: int, limit: int) -> list[Tombstone]:
        """See ``Erasure.tombstones``."""
        async with self._database.connection(
            self._database.timeouts.read, requires=can_read
        ) as session:
            cursor = await session.execute(_AFTER, [_EPOCH + after * _MICROSECOND, limit])
            return [Tombstone(uid, position_of(moment)) for uid, moment in await cursor.fetchall()]

    async def forgotten_among(self, order_uids: Collection[str]) -> frozenset[str]:
        """See ``Erasure.forgotten_among``."""
        uids = [uid for uid in dict.fromkeys(order_uids) if is_storable(uid)]
        if not uids:
            return frozenset()
        async with self._database.connection(
            self._database.timeouts.read, requires=can_read
        ) as session:
            cursor = await session.execute(_TOMBSTONES_AMONG, [uids])
            return frozenset(uid for uid, forgotten_at in await cursor.fetchall() if forgotten_at)

    async def oldest(
        self, before: datetime, limit: int, after: Cursor | None = None
    ) -> Sequence[Cursor]:
        """See ``Erasure.oldest``."""
        condition, parameters = "", [before, limit]
        if after:
            condition = "AND (o.date_created, o.order_uid) > (%s, %s)"
            parameters = [before, after.date_created, after.order_uid, limit]
        statement = _OLDEST.format(after=condition).encode()
        async with self._database.connection(
            self._database.timeouts.read, requires=can_read
        ) as session:
            cursor = await session.execute(statement, parameters)
            return [Cursor(*row) for row in await cursor.fetchall()]

    async def drop_tombstones(self, before: datetime, limit: int) -> int:
        """See ``Erasure.drop_tombstones``."""
        async with self._database.connection(
            self._database.timeouts.write, requires=can_erase
        ) as session:
            # Two statements: Citus deletes nothing by a limited selection.
            # The latest one stays: by it, others tell how much they have seen.
            latest = await _instant(session, LATEST_TOMBSTONE) or before
            cursor = await session.execute(_OLD_TOMBSTONES, [min(before, latest), limit])
            if not (moments := await cursor.fetchall()):
                return 0
            return (await session.execute(_DROP, moments[-1])).rowcount


def _bounded(uids: Sequence[str], items: Mapping[str, int]) -> Iterator[list[str]]:
    """Split orders into lists that have ``_MAX_ITEMS`` together, or one order with more."""
    some: list[str] = []
    number = 0
    for uid in uids:
        number += items.get(uid, 0)
        if some and number > _MAX_ITEMS:
            yield some
            some, number = [], items.get(uid, 0)
        some.append(uid)
    yield some


async def _bury(session: Session, uids: list[str]) -> int:
    """Replace orders by tombstones in one transaction; returns how many were stored."""
    async with session.transaction():
        await session.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        first = await _instant(session, _NEXT_POSITION) or _EPOCH
        async with session.cursor() as several:
            await several.executemany(
                _BURY, [(uid, first + n * _MICROSECOND) for n, uid in enumerate(uids)]
            )
        deleted = {
            table: (await session.execute(statement, [uids])).rowcount
            for table, statement in _DELETE_PARTS.items()
        }
    return max(deleted[table] for table in _ONE_ROW)  # a damaged order lacks one of them


async def _instant(session: Session, statement: str) -> datetime | None:
    cursor = await session.execute(statement.encode())
    [found] = await cursor.fetchone() or [None]
    return found


def position_of(moment: datetime) -> int:
    """Return the position of the tombstone with this ``forgotten_at``."""
    return (moment - _EPOCH) // _MICROSECOND
