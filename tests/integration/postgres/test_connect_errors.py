"""Why there is no connection: said in health, in every command and once in the log."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orders.adapters.postgres.connect_errors import connect_failure
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.inspection import PostgresInspection
from orders.adapters.postgres.migrator import Migrator
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.domain.errors import Unavailable
from tests.integration.opened import opened
from tests.integration.postgres import roles
from tests.integration.tcp_proxy import TcpProxy

CAUSES: dict[str, tuple[dict[str, object], str]] = {
    "password": ({"password": "secret-one"}, "user or this password"),
    "user": ({"user": "secret-one"}, "user or this password"),
    "database": ({"dbname": "secret-one"}, "no such database"),
    "no TLS": ({"sslmode": "require"}, "offers no TLS"),
    "nobody listens": ({"host": "127.0.0.1", "port": 1}, "nothing listens"),
    "name": ({"host": "secret-one.invalid"}, "name is not known"),
    "sslmode": ({"sslmode": "secret-one"}, "sslmode has a wrong value"),
    "options": ({"options": "-c statement_timeout=secret-one"}, "option of the DSN"),
    "standby": ({"target_session_attrs": "standby"}, "target_session_attrs"),
    "service": ({"service": "secret-one"}, "service"),
    "two hosts": (
        {"host": "127.0.0.1,127.0.0.1", "port": "1,{port}", "password": "secret-one"},
        "user or this password",
    ),
}


@pytest.fixture(params=CAUSES)
def failing(request: pytest.FixtureRequest, database_dsn: str) -> tuple[str, str]:
    changes, text = CAUSES[request.param]
    port = conninfo_to_dict(database_dsn)["port"]
    values = {name: str(value).format(port=port) for name, value in changes.items()}
    return make_conninfo(database_dsn, **values), text


async def test_the_cause_is_said_and_logged_once(failing: tuple[str, str]) -> None:
    dsn, text = failing
    with structlog.testing.capture_logs() as lines:
        async with opened(PostgresDatabase(dsn, pool_max=2)) as database:
            for call in (
                Migrator(database).migrate(),
                database.check(),
                PostgresOrderRepository(database).get(["x"]),
            ):
                with pytest.raises(Unavailable, match=text) as raised:
                    await call
                assert "secret-one" not in f"{raised.value}{raised.value.__cause__!r}"
    assert [line["event"] for line in lines] == ["PostgreSQL is unreachable"]
    assert text in lines[0]["reason"]
    assert "secret-one" not in repr(lines)


async def test_doctor_has_a_step_to_take(failing: tuple[str, str]) -> None:
    dsn, text = failing
    (finding,) = await PostgresInspection(dsn, pool_max=2).inspect()
    assert finding.state == "problem"
    assert finding.advice
    if "invalid" not in dsn and "port=1" not in dsn:
        assert text in finding.text


async def test_the_log_says_it_again_when_the_cause_changes(
    database_dsn: str, door: TcpProxy
) -> None:
    door.shut()
    dsn = make_conninfo(database_dsn, host="127.0.0.1", port=door.port, password="wrong")
    with structlog.testing.capture_logs() as lines:
        async with opened(PostgresDatabase(dsn, pool_max=2)) as database:
            await until_unavailable(database, "nothing listens")
            door.open()
            await until_unavailable(database, "this password")
    assert [line["event"] for line in lines] == ["PostgreSQL is unreachable"] * 2
    assert "this password" in lines[1]["reason"]


async def until_unavailable(database: PostgresDatabase, text: str) -> None:
    async with asyncio.timeout(10):
        while True:
            with pytest.raises(Unavailable) as raised:
                await database.check()
            if text in str(raised.value):
                return


@pytest.fixture
def full_role(database_dsn: str) -> Iterator[str]:
    with roles.role(database_dsn, "CONNECTION LIMIT 1") as dsn:
        yield dsn


async def test_a_limit_of_the_role_has_its_own_words(full_role: str) -> None:
    with psycopg.connect(full_role):
        async with opened(PostgresDatabase(full_role, pool_max=2)) as database:
            with pytest.raises(Unavailable, match="limit on connections"):
                await database.check()
        (finding,) = await PostgresInspection(full_role, pool_max=2).inspect()
        assert "limit on connections" in finding.text
        assert "CONNECTION LIMIT" in finding.advice


async def test_doctor_compares_the_limit_of_the_role_with_the_pool(full_role: str) -> None:
    findings = await PostgresInspection(full_role, pool_max=2).inspect()
    (connections,) = (finding for finding in findings if finding.what == "connections")
    assert connections.state == "warning"
    assert "this user may have 1" in connections.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('root certificate file "/x" does not exist', "sslrootcert"),
        ('could not read root certificate file "/x": no certificate found', "sslrootcert"),
        ("SSL error: certificate verify failed", "not trusted"),
        ('server certificate for "a" does not match host name "b"', "another host name"),
        ('certificate file "/x" not present', "client's certificate"),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "u", no encryption', "pg_hba.conf"),
        ('FATAL:  permission denied for database "x"', "may not connect"),
        ('FATAL:  role "x" is not permitted to log in', "may not log in"),
        ("FATAL:  sorry, too many clients already", "all connections"),
        ("FATAL:  the database system is starting up", "is starting"),
        ("FATAL:  the database system is shutting down", "shutting down"),
        ("fe_sendauth: no password supplied", "requires a password"),
        ("FATAL:  no such user", "user or this password"),
        ("could not load system root certificate paths", "sslrootcert"),
        ("SSL error: tlsv1 alert unknown ca", "client's certificate"),
        ("SSL error: sslv3 alert certificate expired", "client's certificate"),
        ("could not match 2 port numbers to 1 hosts", "wrong value"),
        ('invalid integer value "x" for connection option "keepalives"', "wrong value"),
        ('invalid require_auth method: "foo"', "wrong value"),
        ('invalid ssl_min_protocol_version value: "TLSv9"', "wrong value"),
    ],
)
def test_other_texts_of_the_client_and_of_servers(text: str, says: str) -> None:
    failure = connect_failure(psycopg.OperationalError(f"connection failed: {text}"))
    assert says in failure.reason
    assert failure.advice


def test_a_text_in_another_language_is_told_by_the_facts(tmp_path: Path) -> None:
    failure = connect_failure(psycopg.OperationalError("ВАЖНО:  что-то не так"))
    assert "closes the connection before the login" in failure.reason
