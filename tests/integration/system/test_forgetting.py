"""`orders forget` and `orders purge` beside a running system: two API processes and a consumer."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from tests.builders import order_bytes
from tests.integration.system.processes import SOURCES, START_SECONDS, System, free_port, system
from tests.integration.tcp_proxy import TcpProxy
from tests.waiting import wait_until

BOUND_SECONDS = 3.0
"""The second within which every process drops a forgotten order, and what a busy machine adds."""


def orders(running: System, *arguments: str) -> str:
    """Run a command with the settings of the system; returns what it prints."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ORDERS_")}
    done = subprocess.run(
        [sys.executable, "-m", "orders", *arguments],
        env=inherited | {"PYTHONPATH": SOURCES} | running.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def forgotten(running: System) -> int:
    """How many orders the consumer has met that were forgotten."""
    lines = [json.loads(line) for line in running.log("consumer").splitlines() if line[:1] == "{"]
    return sum(line.get("forgotten", 0) for line in lines if line["event"] == "batch stored")


def wait_until_gone(system: System, uid: str) -> None:
    wait_until(
        lambda: system.http.get(f"/orders/{uid}").status_code == 404,
        BOUND_SECONDS,
        f"{uid} is not served any more",
    )


@pytest.fixture
def redis_door(redis_url: str) -> Iterator[TcpProxy]:
    parts = urlsplit(redis_url)
    with TcpProxy(parts.hostname or "127.0.0.1", parts.port or 6379) as proxy:
        yield proxy


@pytest.fixture
def first(
    system_environment: dict[str, str], redis_door: TcpProxy, tmp_path: Path
) -> Iterator[System]:
    parts = urlsplit(system_environment["ORDERS_REDIS_URL"])
    url = parts._replace(netloc=f"127.0.0.1:{redis_door.port}").geturl()
    (folder := tmp_path / "first").mkdir()
    audit = {"ORDERS_AUDIT_LOG": str(tmp_path / "audit.log")}
    with system(system_environment | {"ORDERS_REDIS_URL": url} | audit, folder) as made:
        yield made


@pytest.fixture
def second(first: System, tmp_path: Path) -> Iterator[System]:
    (folder := tmp_path / "second").mkdir()
    environment = first.environment | {"ORDERS_HTTP_PORT": str(free_port())}
    with system(environment, folder) as made:
        yield made


def test_an_order_leaves_every_process_and_does_not_come_back(
    first: System, second: System, tmp_path: Path
) -> None:
    first.start("consumer")
    first.start_api()
    second.start_api()
    first.send(order_bytes("gone"), order_bytes("kept"))
    for each in (first, second):
        each.order("gone")
        each.order("kept")
    assert orders(first, "forget", "gone", "never") == "forgot 2 orders, of which 1 was stored\n"
    for each in (first, second):
        wait_until_gone(each, "gone")
        assert each.http.get("/orders/kept").status_code == 200
        assert [o["order_uid"] for o in each.http.get("/orders").json()] == ["kept"]
    # Redelivered, valid and not; and one that was never stored.
    broken = json.dumps({"order_uid": "gone", "payment": "x"}).encode()
    first.send(order_bytes("gone"), broken, order_bytes("never"), order_bytes("marker"))
    first.order("marker")
    wait_until(lambda: forgotten(first) == 3, START_SECONDS, "the consumer says so")
    # From the beginning, as after a reset of the offsets.
    assert first.stop("consumer") == 0
    first.start("consumer", ORDERS_KAFKA_GROUP=f"{first.environment['ORDERS_KAFKA_GROUP']}-2")
    wait_until(lambda: forgotten(first) == 3 + 4, START_SECONDS, "all is read again")
    first.dead_letters(0)
    for uid in ("gone", "never"):
        assert first.http.get(f"/orders/{uid}").status_code == 404
    assert orders(first, "forget", "gone") == "forgot 1 order, of which 0 were stored\n"
    audited = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    forgets = [line for line in audited if line["event"] == "forgot"]
    assert [line["orders"] for line in forgets] == [["gone", "never"], ["gone"]]
    assert all(line["who"].startswith("os:") for line in forgets)


def test_over_http_by_a_key_that_may(first: System, second: System, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    new = ("keys", "new", "--file", str(keys), "--name", "privacy", "--scope", "orders:admin")
    bearer = {"Authorization": f"Bearer {orders(first, *new).strip()}"}
    first.start("consumer")
    first.start_api(ORDERS_HTTP_AUTH="keys", ORDERS_HTTP_KEYS_FILE=str(keys))
    second.start_api()
    first.send(order_bytes("gone"))
    second.order("gone")
    assert second.http.delete("/orders/gone", headers=bearer).status_code == 403
    assert first.http.delete("/orders/gone").status_code == 401
    for _ in range(2):
        assert first.http.delete("/orders/gone", headers=bearer).status_code == 204
    wait_until_gone(second, "gone")
    first.send(order_bytes("gone"), order_bytes("marker"))
    second.order("marker")
    assert second.http.get("/orders/gone").status_code == 404
    audited = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert [line["outcome"] for line in audited if line["event"] == "forgot"] == [
        *("forbidden", "ok", "ok")
    ]


def test_with_the_shared_cache_down_it_does_not_come_back_from_there(
    first: System, second: System, redis_door: TcpProxy, redis_url: str
) -> None:
    first.start("consumer")
    first.start_api()
    second.start_api()
    first.send(order_bytes("gone"))
    key = f"{{{first.environment['ORDERS_CACHE_PREFIX']}}}:documents"
    with redis.Redis.from_url(redis_url) as server:
        for each in (first, second):
            each.order("gone")
        wait_until(lambda: server.hexists(key, "gone"), START_SECONDS, "it is cached")
        redis_door.shut()
        orders(first, "forget", "gone")
        for each in (first, second):
            wait_until_gone(each, "gone")
        assert first.stop("api") == 0  # this process knows nothing of the past when it starts
        assert server.hexists(key, "gone")
        redis_door.open()
        first.start_api()
        for each in (first, second):
            wait_until(
                lambda each=each: each.http.get("/health/ready").json()["state"] == "ready",  # type: ignore[misc]
                START_SECONDS,
                "the cache is used again",
            )
            for _ in range(3):
                assert each.http.get("/orders/gone").status_code == 404
        wait_until(lambda: not server.hexists(key, "gone"), START_SECONDS, "it is gone there too")


def test_forgetting_while_orders_are_stored(first: System, database_dsn: str) -> None:
    first.start("consumer")
    uids = [f"uid-{n}" for n in range(1500)]
    gone = uids[::50]
    first.send(*(order_bytes(uid) for uid in uids[:600]))
    orders(first, "forget", *gone[:15])
    first.send(*(order_bytes(uid) for uid in (*uids[600:], *uids[:100])))
    orders(first, "forget", *gone[15:])
    first.send(*(order_bytes(uid) for uid in gone), order_bytes("marker"))
    with psycopg.connect(database_dsn, autocommit=True) as connection:

        def stored() -> set[str]:
            query = "SELECT order_uid FROM orders WHERE forgotten_at IS NULL"
            return {uid for (uid,) in connection.execute(query)}

        wait_until(lambda: "marker" in stored(), START_SECONDS, "all is stored")
        assert stored() == {*uids, "marker"} - set(gone)
        for table in ("delivery", "payments", "items"):
            rows = connection.execute(f"SELECT DISTINCT order_uid FROM {table}".encode())
            assert {uid for (uid,) in rows} == stored()
    first.dead_letters(0)


def test_purging(first: System, second: System) -> None:
    first.start("consumer")
    first.start_api()
    second.start_api()
    young = json.loads(order_bytes("young")) | {"date_created": "2999-01-01T00:00:00Z"}
    first.send(order_bytes("old"), json.dumps(young).encode())
    for each in (first, second):
        each.order("old")
        each.order("young")
    assert "would delete 1 order " in orders(first, "purge", "--older-than", "3y", "--dry-run")
    assert "deleted 0 orders" in orders(first, "purge", "--older-than", "300y", "--yes")
    assert "deleted 1 order " in orders(first, "purge", "--older-than", "3y", "--yes")
    for each in (first, second):
        wait_until_gone(each, "old")
        assert each.http.get("/orders/young").status_code == 200
    assert "deleted 0 tombstones" in orders(first, "purge", "--tombstones-older-than", "1h")
