"""Writes orders: many by COPY, few by one statement; each is faster there (docs/performance.md).

Of an INSERT every engine reports why it refuses a row; Citus does not for COPY.
"""

from collections.abc import Callable, Sequence
from typing import Any

from psycopg import sql
from psycopg.types.numeric import Int4, Int8

from orders.adapters.postgres.session import Session
from orders.adapters.postgres.tables import TABLES, Table
from orders.domain.order.model import Order

FEW = 8
"""The most orders that are written by one statement."""
FEW_ITEMS = 100
"""The most items of them. Each takes a kilobyte while the statement is made, and more with a long
order_uid."""


async def write_orders(session: Session, batch: Sequence[Order]) -> None:
    """Write whole orders into the four tables in a transaction of their own.

    ``batch`` must be sorted by order_uid, so that concurrent writers cannot deadlock. Raises driver
    errors, and UnicodeEncodeError and OverflowError for values that the driver cannot encode.
    """
    if _are_few(batch) and not session.citus_version:
        await _insert_orders(session, batch)
        return
    async with session.transaction():
        await copy_orders(session, batch)


def _are_few(batch: Sequence[Order]) -> bool:
    return len(batch) <= FEW and sum([len(order.items) for order in batch]) <= FEW_ITEMS


async def _insert_orders(session: Session, batch: Sequence[Order]) -> None:
    """Write orders in one round trip, which is a transaction since the session is in autocommit.

    It cannot be used with Citus, where a statement inserts into one distributed table.
    """
    columns = [
        _array(kind, values)
        for table in TABLES
        for kind, values in zip(table.types, _transposed(table, batch), strict=True)
    ]
    async with session.cursor() as cursor:
        await cursor.execute(_INSERT_ALL, columns, prepare=True)


def _transposed(table: Table, batch: Sequence[Order]) -> Sequence[Sequence[Any]]:
    return list(zip(*table.rows(batch), strict=True)) or [()] * len(table.columns)


def _array(kind: str, values: Sequence[Any]) -> list[Any]:
    """Give integers the type of their column.

    Otherwise the driver would derive it from the largest, and prepare each combination of types.
    """
    integer = _INTEGERS.get(kind)
    return list(map(integer, values)) if integer else list(values)


async def copy_orders(session: Session, batch: Sequence[Order]) -> None:
    """Write many orders; see ``write_orders``. To be called in a transaction."""
    for table, statement in _COPY:
        # Binary with explicit types: the least work for both sides.
        async with session.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(table.types)
            pack, send = copy.formatter.write_row, copy.writer.write
            for row in table.rows(batch):
                # As `copy.write_row`, but without a coroutine for every row: rows are buffered.
                if packed := pack(row):
                    await send(packed)


async def insert_order(session: Session, order: Order) -> None:
    """Write one order into the four tables; see ``write_orders``. To be called in a transaction."""
    if not session.citus_version:
        write = _insert_orders if _are_few([order]) else copy_orders
        await write(session, [order])
        return
    for table, statement in _INSERT:
        async with session.cursor() as cursor:
            await cursor.executemany(statement, table.rows([order]))  # in a pipeline


def _statements(template: str) -> list[tuple[Table, bytes]]:
    return [
        (
            table,
            sql.SQL(template)
            .format(
                table=sql.Identifier(table.name),
                columns=sql.SQL(", ").join(map(sql.Identifier, table.columns)),
                values=sql.SQL(", ").join(sql.Placeholder() * len(table.columns)),
            )
            .as_bytes(),
        )
        for table in TABLES
    ]


_COPY = _statements("COPY {table} ({columns}) FROM STDIN (FORMAT binary)")
_INSERT = _statements("INSERT INTO {table} ({columns}) VALUES ({values})")


def _insert_all() -> bytes:
    """One statement for all tables, each of which waits for the one before.

    PostgreSQL would write them in any order, and concurrent writers of the same order could
    deadlock.
    """
    inserts = [
        sql.SQL(
            "{this} AS (INSERT INTO {table} ({columns}) SELECT * FROM unnest({values}){after}"
            " RETURNING 1)"
        ).format(
            this=sql.Identifier(f"{table.name}_written"),
            table=sql.Identifier(table.name),
            columns=sql.SQL(", ").join(map(sql.Identifier, table.columns)),
            values=sql.SQL(", ").join(sql.SQL(f"%b::{kind}[]") for kind in table.types),
            after=_after(before) if before else sql.SQL(""),
        )
        for before, table in zip((None, *TABLES), TABLES, strict=False)
    ]
    last = sql.Identifier(f"{TABLES[-1].name}_written")
    return (
        sql.SQL("WITH {inserts} SELECT count(*) FROM {last}")
        .format(inserts=sql.SQL(", ").join(inserts), last=last)
        .as_bytes()
    )


def _after(table: Table) -> sql.Composed:
    written = sql.Identifier(f"{table.name}_written")
    return sql.SQL(" WHERE (SELECT count(*) FROM {}) >= 0").format(written)


_INSERT_ALL = _insert_all()
_INTEGERS: dict[str, Callable[[int], int]] = {"int4": Int4, "int8": Int8}
