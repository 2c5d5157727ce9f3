"""What an operator sees of a PostgreSQL that is set up wrong."""

import json
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from orders.domain.order.document import encode
from orders.entrypoints.http.docs.openapi.examples import ORDER
from tests.integration.postgres import roles
from tests.integration.postgres.test_rights import ALL, READS, SCHEMA, VERSIONS, WRITES, as_role
from tests.integration.system.processes import START_SECONDS, System, free_port
from tests.waiting import wait_until


def ended(running: System, command: str, **more: str) -> tuple[int, str]:
    """The exit code of a command that ends by itself, and all that it said."""
    code = running.start(command, **more).wait(START_SECONDS)
    return code, running.log(command)


@pytest.mark.parametrize("command", ["migrate", "api", "consumer", "doctor"])
@pytest.mark.parametrize("migrates", ["true", "false"])
def test_an_encoding_that_cannot_hold_every_order(
    running: System, postgres_dsn: str, command: str, migrates: str
) -> None:
    with roles.database(postgres_dsn, "WIN1251") as dsn:
        code, said = ended(
            running, command, ORDERS_POSTGRES_DSN=dsn, ORDERS_MIGRATE_ON_START=migrates
        )
    assert code == 2, said
    assert "encoding is WIN1251" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", ["migrate", "doctor"])
def test_commands_say_the_cause(running: System, database_dsn: str, command: str) -> None:
    dsn = make_conninfo(database_dsn, password="hunter2")
    code, said = ended(running, command, ORDERS_POSTGRES_DSN=dsn)
    assert code == 1
    assert "rejects this user or this password" in said
    assert "hunter2" not in said
    assert "Traceback" not in said


def test_migrate_without_the_right_to(running: System, empty_database_dsn: str) -> None:
    with as_role(empty_database_dsn, SCHEMA) as dsn:
        code, said = ended(running, "migrate", ORDERS_POSTGRES_DSN=dsn)
    assert (code, said) == (1, "Error: PostgreSQL denies this user CREATE on schema public\n")


def lines(running: System, command: str, event: str) -> list[dict[str, Any]]:
    found = (json.loads(line) for line in running.log(command).splitlines() if line[:1] == "{")
    return [line for line in found if line["event"] == event]


def test_a_consumer_waits_for_its_grant(running: System, database_dsn: str) -> None:
    port = free_port()
    with as_role(database_dsn, SCHEMA, VERSIONS, READS) as dsn:
        process = running.start(
            "consumer", ORDERS_POSTGRES_DSN=dsn, ORDERS_CONSUMER_HEALTH_PORT=str(port)
        )
        running.send(encode(ORDER))
        wait_until(
            lambda: lines(running, "consumer", "cannot store, waiting"), START_SECONDS, "it waits"
        )

        def not_ready() -> dict[str, Any] | None:
            answer = httpx.get(f"http://127.0.0.1:{port}/health/ready")
            return answer.json() if answer.status_code == 503 else None

        found = wait_until(not_ready, START_SECONDS, "it is not ready")
        assert "INSERT on table orders" in found["parts"]["postgres"]["reason"]
        with psycopg.connect(database_dsn, autocommit=True) as admin:
            admin.execute(WRITES.format(role=roles.role_name(dsn)).encode())
        wait_until(
            lambda: lines(running, "consumer", "can store again"), START_SECONDS, "it resumes"
        )
        assert process.poll() is None
        assert len(lines(running, "consumer", "cannot store, waiting")) == 1
        assert "exception" not in running.log("consumer")
        assert running.stop("consumer") == 0


def test_an_api_waits_for_its_grant(running: System, database_dsn: str, tmp_path: Path) -> None:
    with as_role(database_dsn, *(grant for grant in ALL if grant != VERSIONS)) as dsn:
        process = running.start("api", ORDERS_POSTGRES_DSN=dsn)
        found = running.wait_for_api(503).json()
        assert "SELECT on table schema_migrations" in found["parts"]["postgres"]["reason"]
        wait_until(
            lambda: lines(running, "api", "PostgreSQL cannot be used"), START_SECONDS, "it says so"
        )
        with psycopg.connect(database_dsn, autocommit=True) as admin:
            admin.execute(VERSIONS.format(role=roles.role_name(dsn)).encode())
        running.wait_for_api(200)
        wait_until(
            lambda: lines(running, "api", "PostgreSQL can be used again"), START_SECONDS, "again"
        )
        assert process.poll() is None
        assert len(lines(running, "api", "waiting for the database")) == 1
        assert "exception" not in running.log("api")
        assert running.stop("api") == 0
