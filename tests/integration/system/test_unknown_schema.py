"""A database that belongs to a newer version ends both processes with 2, and with advice."""

import psycopg
import pytest

from tests.integration.system.processes import START_SECONDS, System


@pytest.mark.parametrize("command", ["api", "consumer", "migrate"])
def test_a_newer_schema(running: System, database_dsn: str, command: str) -> None:
    with psycopg.connect(database_dsn) as connection:
        connection.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')"
        )
    assert running.start(command).wait(START_SECONDS) == 2
    assert "use the version of orders that this database belongs to" in running.log(command)
