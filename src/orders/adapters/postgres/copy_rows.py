"""Write orders by COPY: twice as fast as the best INSERT."""

from collections.abc import Sequence

from psycopg import sql

from orders.adapters.postgres.session import Session
from orders.adapters.postgres.tables import TABLES, Table
from orders.domain.order.model import Order


async def copy_orders(session: Session, batch: Sequence[Order]) -> None:
    """Write whole orders into the four tables; to be called in a transaction.

    ``batch`` is sorted by order_uid, so that writers wait for each other in one direction only and
    never deadlock. Raises driver errors, and UnicodeEncodeError and OverflowError for values that
    cannot be put on the wire.
    """
    for table, statement in _STATEMENTS:
        # Binary with given types: the least work for both sides, and measured the fastest.
        async with session.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(table.types)
            pack, send = copy.formatter.write_row, copy.writer.write
            for row in table.rows(batch):
                # As `copy.write_row`, but without a coroutine for each of 10,000 rows.
                if packed := pack(row):  # once in a hundred rows
                    await send(packed)


def _statement(table: Table) -> bytes:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    template = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)")
    return template.format(sql.Identifier(table.name), columns).as_bytes()


_STATEMENTS = [(table, _statement(table)) for table in TABLES]
