"""Reads and writes work with Redis down, and everything recovers by itself with its server."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import redis
from psycopg.conninfo import make_conninfo

from tests.builders import order_bytes
from tests.integration.system.processes import START_SECONDS, System, system
from tests.integration.tcp_proxy import TcpProxy
from tests.waiting import wait_until


@pytest.fixture
def redis_door(redis_url: str) -> Iterator[TcpProxy]:
    parts = urlsplit(redis_url)
    with TcpProxy(parts.hostname or "127.0.0.1", parts.port or 6379) as proxy:
        yield proxy


@pytest.fixture
def behind_doors(
    system_environment: dict[str, str],
    redis_door: TcpProxy,
    postgres_door: TcpProxy,
    tmp_path: Path,
) -> Iterator[System]:
    parts = urlsplit(system_environment["ORDERS_REDIS_URL"])
    environment = system_environment | {
        "ORDERS_REDIS_URL": parts._replace(netloc=f"127.0.0.1:{redis_door.port}").geturl(),
        "ORDERS_POSTGRES_DSN": make_conninfo(
            system_environment["ORDERS_POSTGRES_DSN"], host="127.0.0.1", port=postgres_door.port
        ),
    }
    with system(environment, tmp_path) as made:
        yield made


def cached(url: str, prefix: str) -> int:
    """How many orders the cache holds."""
    with redis.Redis.from_url(url) as client:
        return int(client.hlen(f"{{{prefix}}}:documents"))


def wait_for_line(system: System, process: str, text: str) -> None:
    wait_until(lambda: text in system.log(process), START_SECONDS, f"{process} logs {text!r}")


@pytest.mark.parametrize("way", ["shut", "freeze"])
def test_redis_down(behind_doors: System, redis_door: TcpProxy, redis_url: str, way: str) -> None:
    system = behind_doors
    system.start("consumer")
    system.start_api()
    system.send(order_bytes("before"))
    system.order("before")
    getattr(redis_door, way)()
    system.send(order_bytes("meanwhile"))
    assert system.order("meanwhile", seconds=5).status_code == 200
    assert system.order("before").status_code == 200
    answer = wait_until(
        lambda: (a := system.http.get("/health/ready")).json()["state"] == "degraded" and a,
        10,
        "health says degraded",
    )
    assert answer.status_code == 200
    assert answer.json()["parts"]["redis"]["state"] == "down"
    for process in ("api", "consumer"):
        wait_for_line(system, process, "Redis is unreachable")
    redis_door.open()
    system.send(order_bytes("after"))
    system.order("after")
    wait_until(
        lambda: system.http.get("/health/ready").json()["state"] == "ready",
        START_SECONDS,
        "health says ready",
    )
    prefix = system.environment["ORDERS_CACHE_PREFIX"]
    known = cached(redis_url, prefix)
    system.send(order_bytes("cached again"))
    system.order("cached again")
    wait_until(
        lambda: cached(redis_url, prefix) > known, START_SECONDS, "the cache is in use again"
    )
    for process in ("api", "consumer"):
        wait_for_line(system, process, "Redis recovered")
        assert system.log(process).count("Redis recovered") == 1
        lines = [line for line in system.log(process).splitlines() if "Redis is unreach" in line]
        reasons = [json.loads(line)["reason"] for line in lines]
        assert len(set(reasons)) == len(reasons)  # once more only if the reason changes


def test_connections_that_have_stalled_stop_nobody_else(
    behind_doors: System, redis_door: TcpProxy, postgres_door: TcpProxy, database_dsn: str
) -> None:
    system = behind_doors
    redis_door.shut()  # every order comes from PostgreSQL
    system.start("consumer", ORDERS_POSTGRES_DSN=database_dsn)
    system.start_api()
    for uid in ("a", "b", "c", "last"):
        system.send(order_bytes(uid))
    system.order("last")  # so the others are stored, and nobody has asked for them yet

    def ask(uid: str, seconds: float = 9.0) -> int:
        return httpx.get(
            f"http://127.0.0.1:{system.port}/orders/{uid}", timeout=seconds
        ).status_code

    def found(uid: str) -> bool:
        try:
            return ask(uid, 1.5) == 200
        except httpx.TimeoutException:  # on one that has stalled, too
            return False

    with ThreadPoolExecutor(16) as pool:
        # Two questions at a time, so at least two connections.
        assert set(pool.map(ask, [f"nobody's {number}" for number in range(300)])) == {404}
        postgres_door.stall()
        first = pool.submit(ask, "a")
        time.sleep(0.2)
        second = pool.submit(ask, "b")
        wait_until(lambda: found("c"), 8, "another order is found")
        # A result that is found for other callers resolves these waiters too.
        wait_until(lambda: found("a"), 8, "the same order is found")
        wait_until(lambda: found("b"), 8, "the same order is found")
        assert first.result(10) == second.result(10) == 200
    postgres_door.open()


def test_postgres_down(behind_doors: System, postgres_door: TcpProxy) -> None:
    system = behind_doors
    postgres_door.shut()
    system.start("consumer")
    system.start("api")
    down = system.wait_for_api(503)
    assert down.json()["parts"]["postgres"]["state"] == "down"
    assert system.http.get("/health/live").status_code == 200
    system.send(order_bytes("early"))
    postgres_door.open()
    system.wait_for_api(200)
    system.order("early")
    postgres_door.shut()
    system.send(order_bytes("late"))
    assert system.http.get("/orders/early").status_code == 200  # the cache holds it
    miss = system.http.get("/orders/late")
    assert miss.status_code == 503
    assert "Retry-After" in miss.headers
    assert miss.json()["code"] == "unavailable"
    postgres_door.open()
    system.order("late")
    for process in ("api", "consumer"):
        assert "PostgreSQL is unreachable" in system.log(process)
        assert "PostgreSQL recovered" in system.log(process)
    assert system.stop("consumer") == 0
    assert system.stop("api") == 0


def test_stopping_with_postgres_down(behind_doors: System, postgres_door: TcpProxy) -> None:
    system = behind_doors
    system.start("consumer")
    system.start_api()
    system.send(order_bytes("one"))
    system.order("one")
    postgres_door.freeze()
    system.send(order_bytes("two"))
    assert system.stop("consumer") == 0
    assert system.stop("api") == 0
    postgres_door.open()
    system.start("consumer")
    system.start_api()
    system.order("two")
