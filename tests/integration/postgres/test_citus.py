"""Distributed tables on a real Citus cluster; the repository's contract runs on it as well."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import InternalError_, UniqueViolation
from structlog.testing import capture_logs

from orders.adapters.postgres import schema as schema_module
from orders.adapters.postgres.access import WRITE
from orders.adapters.postgres.bisecting_save import BisectingSave
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.errors import is_known_order, translated
from orders.adapters.postgres.inspection import PostgresInspection
from orders.adapters.postgres.migrator import Migrator
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.read_sql import DISTRIBUTED_DOCUMENTS
from orders.adapters.postgres.session import Session
from orders.adapters.postgres.tables import TABLES
from orders.adapters.postgres.writing import copy_orders, insert_order
from orders.domain.errors import Unavailable, UnsuitableDatabase
from orders.domain.order.queries import OrderQuery
from tests.contracts.inspection import found
from tests.contracts.order_repository import numbered, order_of, uids
from tests.integration.opened import opened
from tests.integration.postgres_fixtures import SHARDS


@pytest.fixture
async def database(schema_dsn: str) -> AsyncIterator[PostgresDatabase]:
    async with opened(PostgresDatabase(schema_dsn, pool_max=2)) as database:
        yield database


@contextmanager
def superuser(dsn: str, name: str) -> Iterator[tuple[str, psycopg.Connection]]:
    """A role without settings of its own; gives its DSN, and a session of the administrator."""
    password = sql.Literal(conninfo_to_dict(dsn).get("password") or "")
    role = sql.Identifier(name)
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}").format(role, password))
        try:
            yield make_conninfo(dsn, user=name), admin
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(role))


async def test_what_is_stored_moves_with_its_tables_and_a_second_time_changes_nothing(
    database: PostgresDatabase,
) -> None:
    migrator, repository = Migrator(database), PostgresOrderRepository(database)
    await migrator.migrate()
    batch = numbered(20)
    await repository.save_many(batch)
    assert await migrator.distribute(SHARDS) == ["orders", "delivery", "payments", "items"]
    assert await migrator.distribute(SHARDS) == []
    assert sorted(await repository.get(uids(batch))) == uids(batch)
    assert (await repository.save_many(batch)).unchanged == set(uids(batch))
    assert len((await repository.page(OrderQuery(), 99)).orders) == 20


async def test_a_plain_server_cannot_be_distributed(empty_database_dsn: str) -> None:
    async with opened(PostgresDatabase(empty_database_dsn, pool_max=1)) as database:
        with pytest.raises(UnsuitableDatabase, match="no extension citus"):
            await Migrator(database).distribute(SHARDS)


def test_one_order_is_asked_of_one_shard(distributed_dsn: str) -> None:
    statement = "EXPLAIN " + DISTRIBUTED_DOCUMENTS.decode()
    with psycopg.connect(distributed_dsn) as connection:
        rows = connection.execute(statement.encode(), {"order_uids": ["uid"]}).fetchall()
    assert "Task Count: 1" in [line.strip() for (line,) in rows]


async def test_a_row_that_a_shard_refuses_is_rejected_alone_with_its_reason(
    distributed_dsn: str, database: PostgresDatabase
) -> None:
    with psycopg.connect(distributed_dsn, autocommit=True) as admin:
        admin.execute("ALTER TABLE orders ADD CONSTRAINT small CHECK (sm_id < 1000)")
    repository = PostgresOrderRepository(database)
    good = numbered(9)
    report = await repository.save_many([*good, order_of("uid-0004x", sm_id=1000)])
    assert report.saved == set(uids(good))
    assert report.rejected.keys() == {"uid-0004x"}
    assert "check violation (23514)" in report.rejected["uid-0004x"]


async def test_an_order_that_a_shard_has_is_known_by_its_key(
    distributed_dsn: str,
) -> None:
    async with await Session.connect(distributed_dsn) as session:
        (order,) = numbered(1)
        await insert_order(session, order)
        with pytest.raises(UniqueViolation) as raised:
            await insert_order(session, order)
    assert is_known_order(raised.value)


async def test_a_lock_timeout_on_a_worker_is_known_without_a_bisection(
    distributed_dsn: str, database: PostgresDatabase
) -> None:
    with superuser(distributed_dsn, "lock_timeout") as (dsn, admin):
        admin.execute("ALTER ROLE lock_timeout SET lock_timeout = 100")
        async with (
            database.connection(60) as holder,
            holder.transaction(force_rollback=True),
            await Session.connect(dsn) as waiting,
            waiting.transaction(force_rollback=True),
        ):
            await copy_orders(holder, numbered(1))
            with pytest.raises(InternalError_) as raised:
                await BisectingSave(waiting, 60).save(numbered(9))
    assert str(translated(raised.value)).endswith("lock not available (55P03)")


async def test_a_session_from_before_the_extension_is_replaced(
    distributed_dsn: str,
) -> None:
    async with opened(PostgresDatabase(distributed_dsn, pool_max=1)) as database:
        repository = PostgresOrderRepository(database)
        await repository.save_many(numbered(3))
        async with database.connection(5) as session:
            session.citus_version = None  # as if the extension had not been there
        with pytest.raises(Unavailable, match="feature not supported"):
            await repository.get(["uid-0001"])
        assert await repository.get(["uid-0001"])


async def test_workers_serve_as_well_as_the_coordinator(
    distributed_dsn: str, database: PostgresDatabase
) -> None:
    with psycopg.connect(distributed_dsn, autocommit=True) as admin:
        found = admin.execute("SELECT nodename, nodeport FROM pg_dist_node WHERE groupid > 0")
        workers = [
            PostgresDatabase(make_conninfo(distributed_dsn, host=host, port=port), pool_max=2)
            for host, port in found
        ]
        if not workers:
            pytest.skip("the cluster is a single node")
        for worker in workers:
            await worker.open()
        try:
            repositories = [PostgresOrderRepository(each) for each in (database, *workers)]
            everything: set[str] = set()
            for number, repository in enumerate(repositories):
                batch = numbered(10, f"by-{number}")
                assert (await repository.save_many(batch)).saved == set(uids(batch))
                assert (await repository.save_many(batch)).unchanged == set(uids(batch))
                everything |= set(uids(batch))
            for repository in repositories:
                assert (await repository.get(list(everything))).keys() == everything
                assert len((await repository.page(OrderQuery(), 99)).orders) == len(everything)
            for each in (database, *workers):
                await each.check(WRITE)
        finally:
            for worker in workers:
                await worker.close()


async def test_later_migrations_apply_to_distributed_tables(
    distributed_dsn: str, database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b"""
        ALTER TABLE orders ADD COLUMN extra text;
        CREATE INDEX orders_extra_idx ON orders (extra);
        CREATE INDEX items_brand_idx ON items (brand);
    """
    known = schema_module.migrations()
    later = (*known, schema_module.Migration(len(known) + 1, "0009_later", text))
    monkeypatch.setattr(schema_module, "migrations", lambda: later)
    assert await Migrator(database).migrate() == ["0009_later"]
    assert await Migrator(database).migrate() == []


def test_shards_can_be_moved_to_another_node(distributed_dsn: str) -> None:
    with psycopg.connect(distributed_dsn, autocommit=True) as admin:
        keys = admin.execute(
            "SELECT logicalrelid::regclass::text FROM pg_dist_partition"
            " WHERE logicalrelid::regclass::text = ANY (%s) AND NOT EXISTS"
            " (SELECT FROM pg_index WHERE indrelid = logicalrelid AND indisprimary)",
            [[*(table.name for table in TABLES), "schema_migrations"]],
        ).fetchall()
    assert keys == [], "without a key Citus refuses to move a table's shards"


async def test_it_is_named_by_the_log_and_by_doctor(
    schema_dsn: str, database: PostgresDatabase
) -> None:
    migrator = Migrator(database)
    with capture_logs() as lines:
        await migrator.migrate()
    assert [line["event"] for line in lines] == ["PostgreSQL has Citus"]
    engine = found(await PostgresInspection(schema_dsn, 8).inspect(), "engine")
    assert (engine.state, engine.advice) == ("warning", "run `orders migrate --distribute`")
    await migrator.distribute(SHARDS)
    with superuser(schema_dsn, "no_lock_timeout") as (dsn, admin):
        engine = found(await PostgresInspection(dsn, 8).inspect(), "engine")
        assert engine.state == "warning"
        admin.execute(engine.advice.removeprefix("on the coordinator: ").encode())
        engine = found(await PostgresInspection(dsn, 8).inspect(), "engine")
        assert engine.state == "ok"
        assert engine.text.endswith(f"{SHARDS} shards of each table")
