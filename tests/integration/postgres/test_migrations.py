"""Migrations: by any number of processes at once, and never on a schema of others."""

import asyncio
import sys
from collections.abc import AsyncIterator

import psycopg
import pytest

from orders.adapters.postgres import schema
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.inspection import PostgresInspection
from orders.adapters.postgres.migrator import _LOCK, Migrator
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.schema import Applied, Migration, migrations, pending
from orders.adapters.postgres.session import Timeouts
from orders.bootstrap import open_all
from orders.domain.errors import Degraded, Unavailable, UnknownSchema
from orders.domain.order.queries import OrderQuery
from tests.contracts.order_repository import order_of
from tests.integration.opened import opened

NAMES = [migration.name for migration in migrations()]

PROCESS = """
import asyncio, sys
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.inspection import PostgresInspection
from orders.adapters.postgres.migrator import Migrator

async def main():
    database = PostgresDatabase(sys.argv[1], pool_max=1)
    await database.open()
    print(len(await Migrator(database).migrate()))
    await database.check()
    await database.close()

asyncio.run(main())
"""


@pytest.fixture
async def empty(empty_database_dsn: str) -> AsyncIterator[PostgresDatabase]:
    async with opened(PostgresDatabase(empty_database_dsn, pool_max=2)) as database:
        yield database


async def run(dsn: str, statement: bytes) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(statement)


def test_they_are_numbered_without_gaps() -> None:
    assert [migration.version for migration in migrations()] == [*range(1, len(NAMES) + 1)]
    assert all(name.startswith(f"{n:04}_") for n, name in enumerate(NAMES, 1))


async def test_from_nothing_and_again(empty: PostgresDatabase) -> None:
    repository = PostgresOrderRepository(empty)
    for call in (
        empty.check(),
        repository.get(["x"]),
        repository.page(OrderQuery(), 1),
        repository.save_many([order_of("x")]),
    ):
        with pytest.raises(Unavailable, match="orders migrate"):
            await call
    assert await Migrator(empty).migrate() == NAMES
    assert await Migrator(empty).migrate() == []
    await empty.check()
    assert (await repository.save_many([order_of("x")])).saved == {"x"}


async def test_many_tasks_at_once(empty_database_dsn: str) -> None:
    databases = [PostgresDatabase(empty_database_dsn, pool_max=1) for _ in range(6)]
    async with open_all(*databases):
        done = await asyncio.gather(*(Migrator(database).migrate() for database in databases))
    assert sorted(name for names in done for name in names) == NAMES


async def test_several_processes_at_once(empty_database_dsn: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROCESS, empty_database_dsn, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    outputs = [await process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(int(out) for out, _ in outputs) == len(NAMES)


async def test_another_one_is_waited_for_beyond_the_lock_timeout(
    empty: PostgresDatabase, empty_database_dsn: str
) -> None:
    timeouts = Timeouts(statement=0.2, lock=0.2)
    async with opened(PostgresDatabase(empty_database_dsn, 1, timeouts=timeouts)) as hasty:
        async with await psycopg.AsyncConnection.connect(empty_database_dsn) as other:
            await other.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            waiting = asyncio.create_task(Migrator(hasty).migrate())
            await asyncio.sleep(0.6)
            assert not waiting.done()
        assert await waiting == NAMES


async def test_a_version_that_is_not_known(database: PostgresDatabase, database_dsn: str) -> None:
    await run(
        database_dsn,
        b"INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')",
    )
    for call in (database.check(), Migrator(database).migrate()):
        with pytest.raises(UnknownSchema, match="9999"):
            await call


async def test_a_changed_migration(database: PostgresDatabase, database_dsn: str) -> None:
    await run(database_dsn, b"UPDATE schema_migrations SET checksum = 'x' WHERE version = 1")
    for call in (database.check(), Migrator(database).migrate()):
        with pytest.raises(UnknownSchema, match="migration 1 "):
            await call


async def test_tables_of_others(empty: PostgresDatabase, empty_database_dsn: str) -> None:
    await run(empty_database_dsn, b"CREATE TABLE payments (id integer)")
    for call in (Migrator(empty).migrate(), empty.check()):
        with pytest.raises(UnknownSchema, match="database of its own"):
            await call
    # The transaction is undone whole: nothing of ours is left among the tables of others.
    await run(empty_database_dsn, b"DROP TABLE payments")
    assert await Migrator(empty).migrate() == NAMES


async def test_without_the_right_to_create_an_up_to_date_schema_is_fine(
    database_dsn: str, admin: psycopg.AsyncConnection
) -> None:
    await admin.execute(
        "ALTER DATABASE " + admin.info.dbname + " SET default_transaction_read_only = on"
    )
    async with opened(PostgresDatabase(database_dsn, pool_max=1)) as database:
        assert await Migrator(database).migrate() == []
        await database.check()
        with pytest.raises(Unavailable, match="25006"):
            await PostgresOrderRepository(database).save_many([order_of("x")])


async def test_a_failing_migration_leaves_nothing_and_the_ones_before(
    empty: PostgresDatabase, empty_database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Migration(len(NAMES) + 1, "broken", b"CREATE TABLE half (); SELECT 1/0")
    monkeypatch.setattr(schema, "migrations", lambda: (*migrations(), broken))
    with pytest.raises(Exception, match="22012"):
        await Migrator(empty).migrate()
    async with await psycopg.AsyncConnection.connect(empty_database_dsn) as connection:
        cursor = await connection.execute("SELECT to_regclass('half'), to_regclass('items')")
        assert await cursor.fetchone() == (None, "items")
        cursor = await connection.execute("SELECT name FROM schema_migrations")
        assert [name for (name,) in await cursor.fetchall()] == NAMES
    with pytest.raises(Unavailable, match="orders migrate"):
        await empty.check()


def test_what_is_pending() -> None:
    done = [Applied(migration.version, migration.checksum, 1) for migration in migrations()]
    assert pending([]) == migrations()
    assert pending(done) == ()
    with pytest.raises(UnknownSchema):
        pending([Applied(2, "x", 2)])


def later(statement: bytes, oldest_compatible: int | None) -> Migration:
    """The migration of a later version."""
    version = len(NAMES) + 1
    stated = f"-- oldest compatible version: {oldest_compatible}\n" if oldest_compatible else ""
    return Migration(version, f"{version:04}_later", stated.encode() + statement)


ADDITIVE = b"ALTER TABLE orders ADD COLUMN gift_note text NOT NULL DEFAULT '';"


async def test_code_that_a_later_migration_is_compatible_with_works_on(
    database: PostgresDatabase, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(schema, "migrations", lambda: (*migrations(), later(ADDITIVE, len(NAMES))))
        assert len(await Migrator(database).migrate()) == 1
        await database.check()
    # From here on as the older version.
    assert await Migrator(database).migrate() == []
    with pytest.raises(Degraded, match="it works, update it"):
        await database.check()
    repository = PostgresOrderRepository(database)
    assert (await repository.save_many([order_of("x")])).saved == {"x"}
    assert (await repository.save_many([order_of("x")])).unchanged == {"x"}
    findings = {f.what: f for f in await PostgresInspection(database_dsn, 4).inspect()}
    assert findings["schema"].state == "warning"


@pytest.mark.parametrize("oldest_compatible", [None, len(NAMES) + 1])
async def test_code_that_a_later_migration_does_not_state_is_refused(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, oldest_compatible: int | None
) -> None:
    with monkeypatch.context() as newer:
        migration = later(ADDITIVE, oldest_compatible)
        newer.setattr(schema, "migrations", lambda: (*migrations(), migration))
        await Migrator(database).migrate()
    for call in (database.check(), Migrator(database).migrate()):
        with pytest.raises(UnknownSchema, match="use the version of orders"):
            await call


async def test_databases_migrated_before_migrations_stated_it(
    database: PostgresDatabase, admin: psycopg.AsyncConnection
) -> None:
    await admin.execute("ALTER TABLE schema_migrations DROP COLUMN oldest_compatible")
    await database.check()
    await admin.execute(
        "INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')"
    )
    with pytest.raises(UnknownSchema, match="9999"):
        await database.check()


def test_each_migration_but_the_first_states_the_oldest_compatible_version() -> None:
    for migration in migrations()[1:]:
        assert b"-- oldest compatible version: " in migration.sql, migration.name
        assert 1 <= migration.oldest_compatible <= migration.version


def test_a_checksum_does_not_depend_on_line_ends() -> None:
    unix, windows = Migration(1, "a", b"a;\nb;\n"), Migration(1, "a", b"a;\r\nb;\r\n")
    assert unix.checksum == windows.checksum != Migration(1, "a", b"a;\nc;\n").checksum
