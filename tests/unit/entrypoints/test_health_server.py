"""The consumer's health over HTTP."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from orders.domain.errors import Unavailable
from orders.domain.use_cases.check_readiness import PartState
from orders.entrypoints import health_server
from orders.entrypoints.consumer.consume import ConsumerReadiness
from orders.entrypoints.health_server import serve_health
from tests.waiting import wait_until

SINCE = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
STUCK = ConsumerReadiness("unavailable", {}, moving=False)


class Consumer:
    """What says how it is."""

    def __init__(self) -> None:
        self.readiness = ConsumerReadiness("ready", {"store": PartState("up", SINCE)}, moving=True)
        self.port = 0

    async def report(self) -> ConsumerReadiness:
        return self.readiness

    def ask_now(self, path: str, method: str = "GET") -> httpx.Response:
        return httpx.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=5)

    async def ask(self, path: str, method: str = "GET") -> httpx.Response:
        return await asyncio.to_thread(self.ask_now, path, method)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)


@pytest.fixture
async def consumer() -> AsyncIterator[Consumer]:
    made = Consumer()
    async with serve_health("127.0.0.1", 0, made.report, STUCK) as made.port:
        yield made


async def test_live(consumer: Consumer) -> None:
    answer = await consumer.ask("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"state": "live"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("state", "status"), [("ready", 200), ("degraded", 200), ("unavailable", 503)]
)
async def test_ready(consumer: Consumer, state: Any, status: int) -> None:
    parts = {"store": PartState("down", SINCE, "disk full"), "kafka": PartState("up", SINCE)}
    consumer.readiness = ConsumerReadiness(state, parts, moving=False)
    answer = await consumer.ask("/health/ready")
    assert answer.status_code == status
    assert answer.json() == {
        "state": state,
        "parts": {
            "store": {"state": "down", "since": "2024-01-02T03:04:05Z", "reason": "disk full"},
            "kafka": {"state": "up", "since": "2024-01-02T03:04:05Z"},
        },
        "moving": False,
    }
    head = await consumer.ask("/health/ready", "HEAD")
    assert (head.status_code, head.content) == (status, b"")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_there_is_nothing_else(consumer: Consumer, method: str) -> None:
    path = "/" if method == "GET" else "/health/live"
    answer = await consumer.ask(path, method)
    assert answer.status_code == 404
    assert "Python" not in answer.headers["Server"]


async def test_an_event_loop_that_does_not_move_is_neither_ready_nor_alive(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_server, "REPORT_TIMEOUT", 0.1)
    monkeypatch.setattr(health_server, "STUCK_AFTER_SECONDS", 0.3)
    monkeypatch.setattr(health_server, "_BEAT_SECONDS", 0.05)

    def is_live() -> bool:
        return consumer.ask_now("/health/live").status_code == 200

    def ask() -> list[httpx.Response]:
        wait_until(lambda: not is_live(), 5, "the stuck event loop is noticed")
        return [consumer.ask_now(path) for path in ("/health/live", "/health/ready")]

    with ThreadPoolExecutor(1) as thread:
        live, ready = thread.submit(ask).result()  # blocks the event loop: this is what is tested
    assert (live.status_code, live.json()) == (503, {"state": "stuck"})
    assert ready.status_code == 503
    assert ready.json() == {"state": "unavailable", "parts": {}, "moving": False}
    await asyncio.to_thread(wait_until, is_live, 5, "the event loop runs again")


async def test_slow_and_many_clients_are_cut_off(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_server, "CONNECTION_SECONDS", 0.3)
    silent = [consumer.connect() for _ in range(health_server.CONNECTIONS - 1)]
    trickling = consumer.connect()
    trickling.sendall(b"GET /health/live HTTP/1.1\r\n")

    def trickle() -> None:
        while True:
            trickling.sendall(b"x: y\r\n")
            time.sleep(0.02)

    began = time.monotonic()
    with pytest.raises(OSError):  # noqa: PT011 (pipe or reset, as the system likes)
        await asyncio.to_thread(trickle)
    assert time.monotonic() - began < 4
    for client in silent:
        assert await asyncio.to_thread(client.recv, 1) == b""
    deadline = time.monotonic() + 5
    while True:
        try:
            assert (await consumer.ask("/health/live")).status_code == 200
            break
        except httpx.TransportError:
            assert time.monotonic() < deadline
    for client in (*silent, trickling):
        client.close()


async def test_clients_that_ask_nothing_keep_no_check_away(consumer: Consumer) -> None:
    silent = [consumer.connect() for _ in range(health_server.CONNECTIONS)]
    for oldest in range(2 * health_server.CONNECTIONS):
        silent.append(consumer.connect())
        # Not all at once: threads that have not ended yet would be too many.
        assert await asyncio.to_thread(silent[oldest].recv, 1) == b""
    assert (await consumer.ask("/health/live")).status_code == 200
    newest = silent[-1]
    newest.sendall(b"GET /health/live HTTP/1.1\r\n\r\n")
    assert (await asyncio.to_thread(newest.recv, 12)).endswith(b" 200")
    for client in silent:
        client.close()


async def test_threads_are_bounded_also_while_they_cannot_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health_server, "REPORT_TIMEOUT", 10)
    made, busy, released = Consumer(), threading.Semaphore(0), asyncio.Event()

    async def report() -> ConsumerReadiness:
        busy.release()
        await released.wait()
        return made.readiness

    async with serve_health("127.0.0.1", 0, report, STUCK) as made.port:
        clients = []
        for _ in range(health_server.THREADS):
            clients.append(made.connect())
            clients[-1].sendall(b"GET /health/ready HTTP/1.1\r\n\r\n")
            assert await asyncio.to_thread(busy.acquire, timeout=5)
        with made.connect() as one_too_many:
            assert await asyncio.to_thread(one_too_many.recv, 1) == b""
        released.set()
        for client in clients:
            client.close()


async def test_nonsense_does_no_harm(consumer: Consumer) -> None:
    for nonsense in (b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"G" * 70_000, b"GET / HTTP/9.9\r\n\r\n"):
        with consumer.connect() as client:
            client.sendall(nonsense)
    assert (await consumer.ask("/health/live")).status_code == 200


@pytest.mark.parametrize(("too_many", "status"), [(0, 200), (1, 431)])
async def test_no_more_of_a_request_is_read_than_probes_send(
    consumer: Consumer, too_many: int, status: int
) -> None:
    begin, end = b"GET /health/live HTTP/1.1\r\na: ", b"\r\n\r\n"
    most = health_server.HEAD_BYTES - 1 + too_many - len(begin) - len(end)
    # To http.server a carriage return does not end a line, to the parser of e-mail it does.
    headers = (b"\ra:b" * most)[:most]
    with consumer.connect() as client:
        client.sendall(begin + headers + end)
        answer = await asyncio.to_thread(client.makefile("rb").readline)
    assert int(answer.split()[1]) == status


async def test_a_port_that_is_taken_is_an_error(consumer: Consumer) -> None:
    with pytest.raises(OSError, match="in use"):
        async with serve_health("127.0.0.1", consumer.port, consumer.report, STUCK):
            pass


async def test_in_the_end_the_port_is_free_again() -> None:
    consumer = Consumer()
    for _ in range(2):
        async with serve_health(
            "127.0.0.1", consumer.port, consumer.report, STUCK
        ) as consumer.port:
            assert (await consumer.ask("/health/ready")).status_code == 200
    with pytest.raises(ConnectionRefusedError):
        consumer.connect()


async def test_metrics(consumer: Consumer) -> None:
    answer = await consumer.ask("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "\norders_build_info{" in answer.text
    head = await consumer.ask("/metrics", "HEAD")
    assert (head.status_code, head.content) == (200, b"")


async def test_scrapes_within_a_second_cost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_server, "SHARED_SECONDS", 60)
    made, begun = Consumer(), []

    def exposition() -> bytes:
        begun.append(1)
        return b"text"

    serving = serve_health("127.0.0.1", 0, made.report, STUCK, exposition=exposition)
    async with serving as made.port:
        answers = await asyncio.gather(*(made.ask("/metrics") for _ in range(10)))
    assert {answer.text for answer in answers} == {"text"}
    assert len(begun) == 1


async def test_metrics_that_are_not_whole() -> None:
    def exposition() -> bytes:
        raise Unavailable("a worker does not give its metrics")

    asked = Consumer()
    serving = serve_health("127.0.0.1", 0, asked.report, STUCK, exposition=exposition)
    async with serving as asked.port:
        answer = await asked.ask("/metrics")
    assert answer.status_code == 503
    assert "a worker does not give its metrics" in answer.text
