"""A database that belongs to a newer version ends both processes with 2, and with advice."""

import msgspec
import psycopg
import pytest

from orders.domain.order.document import encode
from orders.entrypoints.http.docs.openapi.examples import ORDER
from tests.integration.system.processes import START_SECONDS, System


@pytest.mark.parametrize(
    ("command", "migrates"),
    [
        ("api", "true"),
        ("api", "false"),
        ("consumer", "true"),
        ("consumer", "false"),
        ("migrate", ""),
    ],
)
def test_a_newer_schema(running: System, database_dsn: str, command: str, migrates: str) -> None:
    with psycopg.connect(database_dsn) as connection:
        connection.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')"
        )
    process = running.start(command, ORDERS_MIGRATE_ON_START=migrates)
    assert process.wait(START_SECONDS) == 2
    assert "use the version of orders that created this schema" in running.log(command)


def test_processes_that_run_on_store_and_serve_and_say_that_they_are_not_well(
    running: System, database_dsn: str
) -> None:
    running.start("consumer")
    running.start_api()
    running.send(encode(ORDER))
    running.order(ORDER.order_uid)
    with psycopg.connect(database_dsn) as connection:
        connection.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')"
        )
    ready = running.wait_for_api(503)
    assert ready.json()["parts"]["postgres"]["state"] == "down"
    running.send(encode(msgspec.structs.replace(ORDER, order_uid="meanwhile")))
    assert running.order("meanwhile").json()["order_uid"] == "meanwhile"
    assert running.stop("api") == running.stop("consumer") == 0
