"""A missing right is like a server that is down: said in one line, and over once it is granted."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import structlog

from orders.adapters.postgres.access import READ, WRITE
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.erasure import PostgresErasure
from orders.adapters.postgres.inspection import PostgresInspection
from orders.adapters.postgres.migrator import Migrator
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.domain.errors import Misconfigured, Unavailable, UnknownSchema
from orders.domain.order.model import Delivery
from orders.domain.order.queries import OrderQuery
from orders.domain.ports import Finding
from tests.contracts.inspection import found
from tests.contracts.order_repository import order_of
from tests.integration.opened import opened
from tests.integration.postgres import roles

SCHEMA = "GRANT USAGE ON SCHEMA public TO {role}"
VERSIONS = "GRANT SELECT ON schema_migrations TO {role}"
TABLES = "orders, delivery, payments, items"
READS = f"GRANT SELECT ON {TABLES} TO {{role}}"
WRITES = f"GRANT INSERT ON {TABLES} TO {{role}}"
ALL = (SCHEMA, VERSIONS, READS, WRITES)


@contextmanager
def as_role(dsn: str, *grants: str) -> Iterator[str]:
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    with roles.role(dsn, grants=grants) as role_dsn:
        yield role_dsn


async def inspected(dsn: str) -> list[Finding]:
    return list(await PostgresInspection(dsn, pool_max=2).inspect())


async def reason(call: object, kind: type[Unavailable] = Unavailable) -> str:
    with pytest.raises(kind) as raised:
        await call  # type: ignore[misc]
    text = str(raised.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("without", "says"),
    [
        (SCHEMA, "USAGE on schema public"),
        (VERSIONS, "SELECT on table schema_migrations"),
        (READS, "SELECT on table delivery"),
    ],
)
async def test_a_reader_without_a_right(
    database_dsn: str, admin: psycopg.AsyncConnection, without: str, says: str
) -> None:
    with as_role(database_dsn, *(grant for grant in ALL if grant != without)) as dsn:
        async with opened(PostgresDatabase(dsn, pool_max=2)) as database:
            with structlog.testing.capture_logs() as lines:
                for _ in range(2):
                    assert says in await reason(database.check())
            assert [line["event"] for line in lines] == ["PostgreSQL cannot be used"]
            assert says in lines[0]["reason"]
            if without != VERSIONS:
                repository = PostgresOrderRepository(database)
                for call in (repository.get(["x"]), repository.page(OrderQuery(), 1)):
                    assert says in await reason(call, Misconfigured)
            if without != READS:
                assert says in await reason(Migrator(database).migrate())
            problems = [finding for finding in await inspected(dsn) if finding.state == "problem"]
            assert any(says in finding.text for finding in problems), problems
            assert all("GRANT" in finding.advice for finding in problems), problems
            await admin.execute(without.format(role=roles.role_name(dsn)).encode())
            with structlog.testing.capture_logs() as lines:
                await database.check(WRITE)
            assert [line["event"] for line in lines] == ["PostgreSQL can be used again"]
            assert {finding.state for finding in await inspected(dsn)} == {"ok"}


async def test_a_writer_without_the_right_to_write(
    database_dsn: str, admin: psycopg.AsyncConnection
) -> None:
    with as_role(database_dsn, SCHEMA, VERSIONS, READS) as dsn:
        async with opened(PostgresDatabase(dsn, pool_max=2)) as database:
            await database.check(READ)
            says = "PostgreSQL denies this user INSERT on table orders, INSERT on table delivery"
            assert says in await reason(database.check(WRITE))
            assert says in await reason(
                PostgresOrderRepository(database).save_many([order_of("x")])
            )
            writable = found(await inspected(dsn), "writable")
            assert writable.state == "problem"
            assert "INSERT on table items" in writable.text
            await admin.execute(WRITES.format(role=roles.role_name(dsn)).encode())
            report = await PostgresOrderRepository(database).save_many([order_of("x")])
            assert report.saved == {"x"}
            assert found(await inspected(dsn), "writable").state == "ok"


async def test_rights_on_columns_will_do(database_dsn: str) -> None:
    columns = ", ".join(("order_uid", *Delivery.__struct_fields__))
    others = "orders, payments, items"
    grants = (
        *(SCHEMA, VERSIONS),
        f"GRANT SELECT, INSERT ON {others} TO {{role}}",
        f"GRANT SELECT ({columns}), INSERT ({columns}) ON delivery TO {{role}}",
    )
    with as_role(database_dsn, *grants) as dsn:
        async with opened(PostgresDatabase(dsn, pool_max=2)) as database:
            await database.check(WRITE)
            report = await PostgresOrderRepository(database).save_many([order_of("x")])
            assert report.saved == {"x"}
            assert {finding.state for finding in await inspected(dsn)} == {"ok"}


async def test_migrating_without_the_right_to_create(empty_database_dsn: str) -> None:
    with as_role(empty_database_dsn, SCHEMA) as dsn:
        async with opened(PostgresDatabase(dsn, pool_max=2)) as database:
            says = "CREATE on schema public"
            assert says in await reason(Migrator(database).migrate())
            schema = found(await inspected(dsn), "schema")
            assert schema.text.startswith("version 0, ")
            assert schema.advice == (
                "run `orders migrate` as the owner of the tables, or GRANT what is missing: "
                f"PostgreSQL denies this user {says}"
            )


async def test_no_schema_at_all(empty_database_dsn: str) -> None:
    dsn = psycopg.conninfo.make_conninfo(empty_database_dsn, options="-c search_path=nowhere")
    async with opened(PostgresDatabase(dsn, pool_max=2)) as database:
        says = "search_path names no schema that exists"
        assert says in await reason(database.check())
        assert says in await reason(Migrator(database).migrate())
        assert says in found(await inspected(dsn), "schema").text


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE schema_migrations (version bigint, dirty boolean)",
        "CREATE TABLE schema_migrations (version varchar PRIMARY KEY)",
    ],
)
async def test_migrations_of_another_program(empty_database_dsn: str, statement: str) -> None:
    with psycopg.connect(empty_database_dsn, autocommit=True) as connection:
        connection.execute(statement.encode())
    async with opened(PostgresDatabase(empty_database_dsn, pool_max=2)) as database:
        for call in (Migrator(database).migrate(), database.check()):
            with pytest.raises(UnknownSchema, match="table schema_migrations of another program"):
                await call
        schema = found(await inspected(empty_database_dsn), "schema")
        assert "another program" in schema.text
        assert schema.is_refused


async def test_orders_of_another_program(empty_database_dsn: str) -> None:
    with psycopg.connect(empty_database_dsn, autocommit=True) as connection:
        connection.execute(b"CREATE TABLE orders (order_uid text, data jsonb)")
    async with opened(PostgresDatabase(empty_database_dsn, pool_max=2)) as database:
        for call in (Migrator(database).migrate(), database.check()):
            with pytest.raises(UnknownSchema, match="database of its own"):
                await call
        assert found(await inspected(empty_database_dsn), "schema").is_refused


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DROP TABLE items", "table items is missing"),
        ("ALTER TABLE delivery DROP COLUMN zip", "column zip of table delivery is missing"),
    ],
)
async def test_what_was_lost_after_migrating(
    database_dsn: str, admin: psycopg.AsyncConnection, statement: str, says: str
) -> None:
    await admin.execute(statement.encode())
    async with opened(PostgresDatabase(database_dsn, pool_max=2)) as database:
        repository = PostgresOrderRepository(database)
        for call in (
            database.check(),
            repository.get(["x"]),
            repository.save_many([order_of("x")]),
        ):
            assert says in await reason(call)
        assert says in found(await inspected(database_dsn), "schema").text


async def test_row_security_is_told(database_dsn: str, admin: psycopg.AsyncConnection) -> None:
    await admin.execute("ALTER TABLE delivery ENABLE ROW LEVEL SECURITY")
    with as_role(database_dsn, *ALL) as dsn:
        async with opened(PostgresDatabase(dsn, pool_max=2)) as database:
            says = "row security hides rows of table delivery"
            assert says in await reason(database.check())
            assert says in await reason(
                PostgresOrderRepository(database).save_many([order_of("x")])
            )
            problems = [finding for finding in await inspected(dsn) if finding.state == "problem"]
            assert any(says in finding.text for finding in problems)


ERASES = (
    "GRANT UPDATE ON orders TO {role}",
    f"GRANT DELETE ON {TABLES} TO {{role}}",
)


async def test_forgetting_needs_more_rights(database_dsn: str) -> None:
    with as_role(database_dsn, *ALL, *ERASES) as dsn:
        async with opened(PostgresDatabase(dsn, pool_max=2)) as database:
            repository, erasure = PostgresOrderRepository(database), PostgresErasure(database)
            await repository.save_many([order_of("a")])
            assert await erasure.forget(["a", "b"]) == 1
            later = datetime.now(UTC) + timedelta(hours=1)
            assert await erasure.drop_tombstones(later, 5) == 1


@pytest.mark.parametrize(
    ("without", "says"), [(0, "UPDATE on table orders"), (1, "DELETE on table delivery")]
)
async def test_forgetting_without_a_right(database_dsn: str, without: int, says: str) -> None:
    grants = [grant for number, grant in enumerate(ERASES) if number != without]
    with as_role(database_dsn, *ALL, *grants) as dsn:
        async with opened(PostgresDatabase(dsn, pool_max=2)) as database:
            found = await reason(PostgresErasure(database).forget(["a"]), Misconfigured)
            assert says in found
            assert "UPDATE on table delivery" not in found
