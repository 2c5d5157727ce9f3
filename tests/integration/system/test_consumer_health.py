"""The consumer says over HTTP whether it can do its work: truly, also when all servers answer."""

import socket
from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.builders import order_bytes
from tests.integration.system.processes import START_SECONDS, System, free_port
from tests.waiting import wait_until


class Consumer:
    def __init__(self, system: System) -> None:
        self.system = system
        self.port = free_port()
        system.start("consumer", ORDERS_CONSUMER_HEALTH_PORT=str(self.port))

    def ready(self) -> httpx.Response | None:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health/ready", timeout=5)
        except httpx.TransportError:
            return None

    def wait_for(self, state: str, **parts: str) -> dict[str, Any]:
        """What it says once it is so, and each of these parts."""

        def ask() -> dict[str, Any] | None:
            answer = self.ready()
            if answer is None:
                return None
            found: dict[str, Any] = answer.json()
            seen = {name: part["state"] for name, part in found["parts"].items()}
            fits = found["state"] == state and parts.items() <= seen.items()
            assert answer.status_code == (503 if found["state"] == "unavailable" else 200)
            return found if fits else None

        return wait_until(ask, START_SECONDS, f"{state} {parts}", lambda: self._log())

    def _log(self) -> str:
        answer = self.ready()
        return f"{answer and answer.text}\n{self.system.log('consumer')}"


def test_a_table_that_is_locked(running: System, database_dsn: str) -> None:
    consumer = Consumer(running)
    consumer.wait_for("ready", store="up", postgres="up", kafka="up", commits="up", redis="up")
    with psycopg.connect(database_dsn) as other:
        other.execute("LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE")
        running.send(order_bytes("late"))
        found = consumer.wait_for("unavailable", store="down", postgres="up", kafka="up")
    store = found["parts"]["store"]
    assert store["reason"] == "PostgreSQL cannot do it now: lock not available (55P03)"
    assert datetime.fromisoformat(store["since"]).tzinfo
    assert found["moving"] is True
    consumer.wait_for("ready", store="up")


def test_a_database_that_takes_no_writes(running: System, database_dsn: str) -> None:
    consumer = Consumer(running)
    consumer.wait_for("ready")
    name = sql.Identifier(str(conninfo_to_dict(database_dsn)["dbname"]))
    with psycopg.connect(database_dsn, autocommit=True) as admin:
        admin.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name)
        )
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        running.send(order_bytes("late"))
        found = consumer.wait_for("unavailable", store="down", postgres="up")
        assert found["parts"]["store"]["reason"].endswith("read only sql transaction (25006)")
        first = found["parts"]["store"]["since"]
        assert consumer.wait_for("unavailable")["parts"]["store"]["since"] == first
        admin.execute("SET default_transaction_read_only = off")
        admin.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    consumer.wait_for("ready", store="up")


def test_it_lives_and_is_not_ready_before_anything_answers(running: System) -> None:
    running.environment["ORDERS_KAFKA_BOOTSTRAP"] = "127.0.0.1:1"
    consumer = Consumer(running)
    found = consumer.wait_for("unavailable", kafka="down", postgres="up")
    assert found["parts"]["kafka"]["reason"]
    live = httpx.get(f"http://127.0.0.1:{consumer.port}/health/live")
    assert (live.status_code, live.json()) == (200, {"state": "live"})
    wait_until(
        lambda: '"event":"Kafka is unreachable"' in running.log("consumer"),
        START_SECONDS,
        "the log says that Kafka is unreachable",
    )
    assert running.stop("consumer") == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{consumer.port}/health/live")


def test_a_port_that_is_taken_ends_it(running: System) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = running.start("consumer", ORDERS_CONSUMER_HEALTH_PORT=port)
        assert process.wait(START_SECONDS) == 1
    assert '"event":"cannot listen"' in running.log("consumer")
