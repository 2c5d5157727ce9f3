"""The schema: distributable by order_uid, nothing lost, orders removable as a whole."""

import psycopg

from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.tables import FORGOTTEN_AT, STORED_XID, TABLES
from tests.contracts.order_repository import numbered, order_of

CONSTRAINTS = """
    SELECT c.conname, c.contype, array(
        SELECT a.attname::text FROM pg_attribute a
        WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey))
    FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
    WHERE n.nspname = 'public' AND c.contype IN ('p', 'u', 'f')
"""
UNIQUE_INDEXES = """
    SELECT i.indexrelid::regclass::text, array(
        SELECT a.attname::text FROM pg_attribute a
        WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey))
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND i.indisunique
"""
COLUMNS = """
    SELECT column_name::text, udt_name::text, is_nullable FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position
"""


async def test_every_key_holds_order_uid(admin: psycopg.AsyncConnection) -> None:
    constraints = await (await admin.execute(CONSTRAINTS)).fetchall()
    kinds = [kind for _, kind, _ in constraints]
    assert (kinds.count("p"), kinds.count("f")) == (4, 3)
    for name, _, columns in constraints:
        assert "order_uid" in columns, name
    indexes = await (await admin.execute(UNIQUE_INDEXES)).fetchall()
    assert len(indexes) == 4
    for name, columns in indexes:
        assert "order_uid" in columns, name


async def test_tables_have_the_fields_of_the_structs_and_no_nulls(
    admin: psycopg.AsyncConnection,
) -> None:
    for table in TABLES:
        columns = await (await admin.execute(COLUMNS, [table.name])).fetchall()
        if table.name == "orders":  # what is set in tombstones alone, and in new orders
            columns.remove((FORGOTTEN_AT, "timestamptz", "YES"))
            columns.remove((STORED_XID, "xid8", "YES"))
        assert {(name, kind) for name, kind, _ in columns} == set(
            zip(table.columns, table.types, strict=True)
        )
        assert {nullable for _, _, nullable in columns} == {"NO"}


async def test_an_order_is_removed_with_all_its_rows(
    order_repository: PostgresOrderRepository, admin: psycopg.AsyncConnection
) -> None:
    await order_repository.save_many([*numbered(3), order_of("gone", count=4)])
    await admin.execute("DELETE FROM orders WHERE order_uid = 'gone'")
    for table in TABLES:
        cursor = await admin.execute(f"SELECT count(*) FROM {table.name}")
        assert await cursor.fetchone() == (3,)
    assert (await order_repository.save_many([order_of("gone")])).saved == {"gone"}
