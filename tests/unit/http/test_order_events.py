"""GET /orders/events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from orders.domain.order.events import Position
from orders.domain.use_cases import watch_orders
from orders.entrypoints.http.asgi_types import WRITE_NOW
from orders.entrypoints.http.orders.order_events import from_id, to_id
from orders.entrypoints.http.orders.order_path import path_to
from orders.entrypoints.startup import in_background
from tests.contracts.order_repository import order_of
from tests.unit.http.harness import Api

PATH = "/orders/events"


class Stream:
    """A client of the stream; ``leave`` disconnects it.

    Its connection is asked to write at once what is in ``written``, and does so while ``is_fast``.
    """

    is_fast = False

    def __init__(self, api: Api, query: bytes, headers: dict[bytes, bytes], method: str) -> None:
        self.stopping = asyncio.Event()
        self.written: list[bytes] = []
        self._left = asyncio.Event()
        self._asked = False
        self._sent: asyncio.Queue[Any] = asyncio.Queue()
        scope = {
            "type": "http",
            "method": method,
            "path": PATH,
            "raw_path": PATH.encode(),
            "query_string": query,
            "headers": [(b"host", b"test"), *headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "",
            "state": {"stopping": self.stopping},
            WRITE_NOW: self._write_now,
        }
        self.running = asyncio.create_task(api.app()(scope, self._receive, self._sent.put))

    def _write_now(self, body: bytes) -> bool:
        self.written.append(body)
        return self.is_fast

    async def _receive(self) -> Any:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    def leave(self) -> None:
        self._left.set()

    async def next(self) -> Any:
        async with asyncio.timeout(10):
            return await self._sent.get()

    async def text(self) -> list[str]:
        body: bytes = (await self.next())["body"]
        return body.decode().splitlines()


@asynccontextmanager
async def streamed(
    api: Api, query: bytes = b"", headers: dict[bytes, bytes] | None = None, method: str = "GET"
) -> AsyncIterator[Stream]:
    stream = Stream(api, query, headers or {}, method)
    try:
        yield stream
    finally:
        stream.leave()
        async with asyncio.timeout(10):
            await stream.running


@pytest.fixture
def api() -> Api:
    return Api()


async def store(api: Api, *uids: str) -> None:
    for uid in uids:
        await api.repository.save_many([order_of(uid, count=2)])
    await api.watch.poll()


async def test_what_is_stored_is_told(api: Api) -> None:
    async with streamed(api) as stream:
        start = await stream.next()
        assert start["status"] == 200
        headers = dict(start["headers"])
        assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
        assert headers[b"cache-control"] == b"no-store"
        assert headers[b"x-accel-buffering"] == b"no"
        retry, first, *_ = await stream.text()
        assert retry == "retry: 1000"
        await store(api, "a\nb")
        own, kind, data, _ = await stream.text()
        begun, told = from_id(first.removeprefix("id: ")), from_id(own.removeprefix("id: "))
        assert begun is not None
        assert told is not None
        assert begun < told
        assert kind == "event: stored"
        assert msgspec.json.decode(data.removeprefix("data: ")) == {
            "order_uid": "a\nb",
            "track_number": "TRACK",
            "customer_id": "test",
            "date_created": "2024-05-17T12:00:00Z",
            "amount": 1817,
            "currency": "USD",
            "item_count": 2,
        }


async def test_an_event_is_encoded_once_and_sent_later_to_slow_clients(api: Api) -> None:
    async with streamed(api) as fast, streamed(api) as slow:
        fast.is_fast = True
        for stream in (fast, slow):
            await stream.next()
            await stream.next()
        await store(api, "a")
        assert fast.written[0] is slow.written[0]
        assert (await slow.next())["body"] == slow.written[0]
        fast.stopping.set()
        assert (await fast.next())["body"] == b""  # the event was not sent again


async def test_what_is_forgotten_is_told(api: Api) -> None:
    await store(api, "a")
    async with streamed(api) as stream:
        await stream.next()
        await stream.next()
        await api.erasure.forget(["a"])
        await api.watch.poll()
        _, kind, data, _ = await stream.text()
        assert (kind, data) == ("event: forgotten", 'data: {"order_uid":"a"}')


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_client_resumes_after_the_last_id(api: Api, by_header: bool) -> None:
    async with streamed(api) as stream:
        await stream.next()
        await stream.next()
        await store(api, "a")
        last = (await stream.text())[0].removeprefix("id: ").encode()
    await store(api, "b")
    given: dict[str, Any] = (
        {"headers": {b"last-event-id": last}} if by_header else {"query": b"last_event_id=" + last}
    )
    async with streamed(api, **given) as stream:
        await stream.next()
        await stream.next()
        assert '"order_uid":"b"' in (await stream.text())[2]


async def test_an_id_that_is_not_known_resets_the_client(api: Api) -> None:
    future = to_id(Position(10**9, "x"))
    async with streamed(api, headers={b"last-event-id": future}) as stream:
        await stream.next()
        assert (await stream.text())[1:3] == ["event: reset", "data: {}"]


@pytest.mark.parametrize(
    ("query", "header"),
    [
        (b"last_event_id=x", b""),
        (b"last_event_id=%ff", b""),
        (b"last_event_id=&last_event_id=", b""),
        (b"last=1", b""),
        (b"last=1", to_id(Position(1, "a"))),
        (b"", b"x"),
    ],
)
async def test_what_is_not_an_id_is_refused(api: Api, query: bytes, header: bytes) -> None:
    async with streamed(api, query, {b"last-event-id": header}) as stream:
        assert (await stream.next())["status"] == 400
        assert b"invalid-request" in (await stream.next())["body"]


async def test_too_many_listeners_are_refused_until_one_leaves(api: Api) -> None:
    async with streamed(api), streamed(api) as second:
        await second.next()
        async with streamed(api) as third:
            assert (await third.next())["status"] == 503
            assert b"overloaded" in (await third.next())["body"]
    async with streamed(api) as stream:
        assert (await stream.next())["status"] == 200


async def test_a_silent_stream_has_heartbeats(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_orders, "HEARTBEAT", 0)
    async with streamed(api) as stream, in_background(api.watch.run()):
        await stream.next()
        await stream.next()
        for _ in range(2):
            assert (await stream.next())["body"] == b":\n\n"
        await store(api, "a")
        while (body := (await stream.next())["body"]) == b":\n\n":
            pass
        assert b"event: stored" in body


async def test_it_ends_when_the_process_stops(api: Api) -> None:
    async with streamed(api) as stream:
        await stream.next()
        await stream.next()
        stream.stopping.set()
        assert await stream.next() == {
            "type": "http.response.body",
            "body": b"",
            "more_body": False,
        }
        await stream.running


async def test_head_listens_to_nothing(api: Api) -> None:
    async with streamed(api, method="HEAD") as stream:
        assert (await stream.next())["status"] == 200
        await stream.running
    assert api.watch._listeners == 0


async def test_a_stream_is_audited_once(api: Api) -> None:
    async with streamed(api) as stream:
        await stream.next()
        await store(api, "a")
    assert [line["event"] for line in api.audited] == ["watched"]


async def test_an_order_of_that_name_is_found_by_a_filter(api: Api) -> None:
    assert path_to("events") == "/orders?order_uid=events"
