"""GET /orders/events beside a running system: two API processes and a consumer, Redis down."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import httpx
import msgspec
import pytest

from drills.listeners import events_in
from tests.builders import order_bytes
from tests.integration.system.processes import START_SECONDS, System, free_port, system
from tests.waiting import wait_until

Events: TypeAlias = Iterator[dict[str, str]]


class Client:
    """Reads a stream as EventSource does: it knows the last id."""

    def __init__(self) -> None:
        self.last_id = ""
        self.seen: list[str] = []

    @contextmanager
    def connected(self, api: System) -> Iterator[Events]:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        with api.http.stream("GET", "/orders/events", headers=headers, timeout=30) as response:
            assert response.status_code == 200
            events = events_in(response.iter_lines())
            self._read_one(events)  # where it begins
            yield events

    def read(self, events: Events, number: int) -> None:
        """Read until so many orders were seen."""
        while len(self.seen) < number:
            self._read_one(events)

    def _read_one(self, events: Events) -> None:
        event = next(events, None)
        if event is None:
            raise httpx.RemoteProtocolError("the stream has ended")
        self.last_id = event.get("id", self.last_id)
        if "data" in event:
            self.seen.append(msgspec.json.decode(event["data"])["order_uid"])


@pytest.fixture
def first(system_environment: dict[str, str], tmp_path: Path) -> Iterator[System]:
    redis = {"ORDERS_REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
    (folder := tmp_path / "first").mkdir()
    with system(system_environment | redis, folder) as made:
        yield made


@pytest.fixture
def second(first: System, tmp_path: Path) -> Iterator[System]:
    (folder := tmp_path / "second").mkdir()
    with system(first.environment | {"ORDERS_HTTP_PORT": str(free_port())}, folder) as made:
        yield made


def test_a_client_misses_nothing_whatever_is_killed(first: System, second: System) -> None:
    first.start("consumer")
    first.start_api()
    second.start_api()
    first.send(order_bytes("before"))
    first.order("before")
    client = Client()
    sent = [f"uid-{n}" for n in range(6)]
    with client.connected(first) as events:
        first.send(*map(order_bytes, sent[:2]))
        client.read(events, 2)
        first.stop("consumer", signal.SIGKILL)
        first.send(*map(order_bytes, sent[2:4]))
        first.start("consumer")
        client.read(events, 4)
        first.stop("api", signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            client.read(events, 5)
    first.send(order_bytes(sent[4]))
    wait_until(
        lambda: second.http.get(f"/orders/{sent[4]}").status_code == 200,
        START_SECONDS,
        "it is stored",
    )
    with client.connected(second) as events:
        first.send(order_bytes(sent[5]))
        client.read(events, 6)
    assert client.seen == sent


def test_sigterm_ends_the_streams_at_once(first: System) -> None:
    first.start_api()
    with Client().connected(first) as events:
        began = time.monotonic()
        assert first.stop("api") == 0
        assert time.monotonic() - began < 5  # of the 8 s that other requests have
        assert list(events) == []
