"""What is found out about a real PostgreSQL."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orders.adapters.postgres.inspection import PostgresInspection
from orders.adapters.postgres.schema import migrations
from orders.domain.ports import Finding, Inspection
from tests.contracts.inspection import SECRET, InspectionContract, found
from tests.integration.tcp_proxy import TcpProxy

VERSION = len(migrations())


class TestPostgresInspection(InspectionContract):
    @pytest.fixture
    def inspection(self, database_dsn: str) -> Inspection:
        return PostgresInspection(database_dsn, pool_max=8)

    @pytest.fixture
    def unreachable(self, database_dsn: str) -> Inspection:
        return PostgresInspection(make_conninfo(database_dsn, password=SECRET), pool_max=8)


async def look(dsn: str, pool_max: int = 8) -> list[Finding]:
    return list(await PostgresInspection(dsn, pool_max).inspect())


async def only(dsn: str) -> Finding:
    """The one thing that is found where it cannot be reached."""
    (finding,) = await look(dsn)
    assert (finding.what, finding.state) == ("reachable", "problem")
    return finding


async def test_all_well(database_dsn: str) -> None:
    findings = await look(database_dsn)
    assert {finding.state for finding in findings} == {"ok"}
    assert found(findings, "schema").text == f"version {VERSION}, up to date"


async def test_a_wrong_password_is_distinguished_from_a_missing_database(database_dsn: str) -> None:
    wrong = await only(make_conninfo(database_dsn, password="wrong"))
    assert "this user or this password" in wrong.text
    unknown = await only(make_conninfo(database_dsn, user="nobody-of-ours"))
    assert unknown.text == wrong.text
    missing = await only(make_conninfo(database_dsn, dbname="no-such-database"))
    assert "there is no such database" in missing.text


async def test_no_password(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSFILE", "/nonexistent")
    parts = conninfo_to_dict(database_dsn) | {"password": None}
    finding = await only(make_conninfo("", **parts))
    assert finding.text == "it requires a password, and none is set"


async def test_nobody_listens(database_dsn: str) -> None:
    finding = await only(make_conninfo(database_dsn, host="127.0.0.1", port=1))
    assert finding.text == "nothing listens on 127.0.0.1:1"


async def test_an_unknown_name(database_dsn: str) -> None:
    finding = await only(make_conninfo(database_dsn, host="db.invalid"))
    assert finding.text == "the name db.invalid is not known"


async def test_the_second_of_two_addresses_will_do(database_dsn: str) -> None:
    port = conninfo_to_dict(database_dsn)["port"]
    findings = await look(make_conninfo(database_dsn, host="127.0.0.1,127.0.0.1", port=f"1,{port}"))
    assert findings[0].state == "ok"


async def test_frozen(database_dsn: str, door: TcpProxy) -> None:
    door.freeze()
    finding = await only(make_conninfo(database_dsn, host="127.0.0.1", port=door.port))
    assert finding.text == "it accepts connections, but does not respond"


async def test_it_ends_the_connection(database_dsn: str) -> None:
    """As a server does that is starting, out of connections, or does not accept the login."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        finding = await only(make_conninfo(database_dsn, host="127.0.0.1", port=port))
    assert "closes the connection before the login" in finding.text


async def test_no_schema(empty_database_dsn: str) -> None:
    finding = found(await look(empty_database_dsn), "schema")
    assert finding.state == "problem"
    assert finding.text == f"version 0, and this version of orders needs {VERSION}"
    assert finding.advice == "run `orders migrate`"


async def test_a_newer_schema(database_dsn: str) -> None:
    with psycopg.connect(database_dsn) as connection:
        connection.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')"
        )
    finding = found(await look(database_dsn), "schema")
    assert finding.state == "problem"
    assert "version 9999" in finding.text
    assert "newest version" in finding.advice


async def test_a_schema_that_may_not_be_read(database_dsn: str) -> None:
    with user(database_dsn) as dsn:
        finding = found(await look(dsn), "rights")
    assert finding.state == "problem"
    assert "SELECT on table schema_migrations" in finding.text


@pytest.mark.parametrize(
    ("setting", "value", "what", "says"),
    [
        ("default_transaction_read_only", "on", "writable", "read-only"),
        ("synchronous_commit", "off", "durability", "synchronous_commit off"),
    ],
)
async def test_a_setting_on_which_the_guarantee_rests(
    database_dsn: str, setting: str, value: str, what: str, says: str
) -> None:
    name = sql.Identifier(str(conninfo_to_dict(database_dsn)["dbname"]))
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                name, sql.Identifier(setting), sql.Literal(value)
            )
        )
    findings = await look(database_dsn)
    finding = found(findings, what)
    assert finding.state == "problem"
    assert says in finding.text
    others = [f for f in findings if f.what != what]
    assert {f.state for f in others} == {"ok"}


async def test_too_few_connections(database_dsn: str) -> None:
    assert found(await look(database_dsn, pool_max=10_000), "connections").state == "problem"
    with ExitStack() as held:
        used = [held.enter_context(psycopg.connect(database_dsn)) for _ in range(5)]
        row = (
            used[0]
            .execute(
                "SELECT current_setting('max_connections')::int"
                " - current_setting('superuser_reserved_connections')::int"
            )
            .fetchone()
        )
        assert row is not None
        finding = found(await look(database_dsn, pool_max=row[0] - 4), "connections")
    assert finding.state == "warning"


@contextmanager
def user(dsn: str) -> Iterator[str]:
    """A user who may connect and nothing else."""
    name = sql.Identifier(f"user_{uuid4().hex}")
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'p'").format(name))
        try:
            yield make_conninfo(dsn, user=name.as_string(admin).strip('"'), password="p")
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(name))
