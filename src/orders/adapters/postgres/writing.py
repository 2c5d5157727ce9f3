"""Writes orders: many by COPY, which is faster (docs/performance.md), a single one by INSERT.

Of an INSERT every engine reports why it refuses a row; Citus does not for COPY.
"""

from collections.abc import Sequence

from psycopg import sql

from orders.adapters.postgres.session import Session
from orders.adapters.postgres.tables import TABLES, Table
from orders.domain.order.model import Order


async def copy_orders(session: Session, batch: Sequence[Order]) -> None:
    """Write whole orders into the four tables; to be called in a transaction.

    ``batch`` must be sorted by order_uid, so that concurrent writers cannot deadlock. Raises driver
    errors, and UnicodeEncodeError and OverflowError for values that the driver cannot encode.
    """
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
    """Write one order into the four tables; see ``copy_orders``."""
    for table, statement in _INSERT:
        async with session.cursor() as cursor:
            for row in table.rows([order]):
                await cursor.execute(statement, row)


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
