"""What one client can take of a real API process."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest

from orders.domain.order.document import encode
from orders.entrypoints.http.docs.openapi.examples import ORDER
from tests.integration.system.processes import SOURCES, free_port
from tests.waiting import wait_until

CONNECTIONS = 12
POST = b"POST /orders HTTP/1.1\r\nHost: x\r\n"


class Api:
    """`orders api --memory` with tight bounds."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, health_port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.health_url = f"http://127.0.0.1:{health_port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def is_ready(self, url: str = "") -> bool:
        try:
            found = httpx.get((url or self.health_url) + "/health/ready", timeout=5)
            return found.status_code == 200
        except httpx.TransportError:
            return False

    def peak_megabytes(self) -> int:
        """The most memory that it has had."""
        found = re.search(
            r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text()
        )
        assert found is not None
        return int(found[1]) // 1024


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    port, health_port = free_port(), free_port()
    environment = {
        "ORDERS_HTTP_PORT": str(port),
        "ORDERS_HTTP_HEALTH_PORT": str(health_port),
        "ORDERS_HTTP_MAX_CONNECTIONS": str(CONNECTIONS),
        "ORDERS_HTTP_IDLE_TIMEOUT": "3",
        "ORDERS_HTTP_BODY_TIMEOUT": "2",
        "PYTHONPATH": SOURCES,
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "orders", "api", "--memory"],
            env=os.environ | environment,
            stdout=log,
            stderr=log,
            cwd=tmp_path,
        )
    started = Api(process, port, health_port)
    try:
        for url in (started.url, started.health_url):
            is_ready = partial(started.is_ready, url)
            wait_until(is_ready, 30, "it is ready", (tmp_path / "log").read_text)
        yield started
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_idle_connections_are_closed_and_health_answers_meanwhile(api: Api) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(api.connect()) for _ in range(CONNECTIONS)]
        with api.connect() as refused:
            answer = refused.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"overloaded"' in answer
        assert api.is_ready()
        assert httpx.get(api.health_url + "/health/live", timeout=5).status_code == 200
        assert [connection.recv(1) for connection in idle] == [b""] * CONNECTIONS
        assert httpx.get(api.url + "/orders?limit=1").status_code == 200


def test_a_body_that_arrives_a_byte_at_a_time_ends_with_408(api: Api) -> None:
    with api.connect() as connection:
        connection.sendall(POST + b"Content-Length: 1000\r\n\r\n")
        connection.settimeout(0.1)
        deadline = time.monotonic() + 20
        answer = b""
        while not answer:
            assert time.monotonic() < deadline
            connection.sendall(b" ")
            try:
                answer = connection.recv(4096)
            except TimeoutError:
                continue
        connection.settimeout(10)
        while b"}" not in answer:
            answer += connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"slow-body"' in answer


def test_many_bodies_of_very_many_values_take_little_memory(api: Api) -> None:
    body = b'{"order_uid": "x", "items": [' + b",".join([b"{}"] * 3_000_000) + b"]}"

    def post(_: int) -> httpx.Response:
        return httpx.post(api.url + "/orders", content=body, timeout=60)

    with ThreadPoolExecutor(6) as clients:
        answers = list(clients.map(post, range(6)))
    assert {answer.status_code for answer in answers} <= {422, 503}
    assert 422 in {answer.status_code for answer in answers}
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["code"] == "overloaded"
            assert int(answer.headers["retry-after"]) > 0
    assert api.peak_megabytes() < 300
    assert httpx.post(api.url + "/orders", content=encode(ORDER)).status_code == 202
