"""GET /orders/events: what is stored and forgotten, as server-sent events."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from orders.domain.order.events import OrderEvent, Position
from orders.domain.use_cases.watch_orders import Listener, WatchOrders
from orders.entrypoints.audit import Audit
from orders.entrypoints.http.asgi_types import WRITE_NOW, Receive, Scope, Send
from orders.entrypoints.http.disconnection import Disconnection
from orders.entrypoints.http.docs import operations
from orders.entrypoints.http.docs.openapi.operation import documented
from orders.entrypoints.http.opaque_text import OpaqueText
from orders.entrypoints.http.orders.order_path import EVENTS
from orders.entrypoints.http.orders.query_parameters import query_pairs, query_values
from orders.entrypoints.http.request_audit import record, recorded_failure
from orders.entrypoints.http.responses import NO_STORE
from orders.entrypoints.http.routes import READ

LONGEST = 600.0
"""Seconds after which a stream ends. Clients resume it by themselves, and their key is checked."""

_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),
    NO_STORE,
)
_HEARTBEAT = b":\n\n"  # a comment
_LAST_ID = b"last-event-id"
_PARAMETER = "last_event_id"

_encode = msgspec.json.Encoder().encode
_ids = OpaqueText(Position, "an id")


def route(watch: WatchOrders, audit: Audit | None = None) -> HTTPRouteHandler:
    """Create the route; ``audit`` as in ``create_app``."""

    @READ(EVENTS, **documented(operations.ORDER_EVENTS))
    async def get_events(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Any = request.scope
        after = _requested(scope)
        with recorded_failure(audit, "watched", scope):
            listener = await watch.open(after)
        record(audit, "watched", scope)
        return EventStream(listener)

    return get_events


class EventStream:
    """A response that ends when the client leaves, the process stops, or after ``LONGEST``."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the end."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            if scope["method"] != "HEAD":
                await self._send_until_end(scope, receive, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._listener.close()

    async def _send_until_end(self, scope: Scope, receive: Receive, send: Send) -> None:
        stopping: asyncio.Event | None = scope.get("state", {}).get("stopping")
        write_now = scope.get(WRITE_NOW, lambda _: False)
        sending = asyncio.create_task(self._send_events(send, write_now))
        tasks: list[asyncio.Task[Any]] = [sending]
        if stopping is not None:
            tasks.append(asyncio.create_task(stopping.wait()))
        async with Disconnection(receive) as has_left:
            try:
                await asyncio.wait(
                    (*tasks, has_left.watching),
                    timeout=LONGEST,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                for task in tasks:
                    task.cancel()
        with suppress(asyncio.CancelledError):
            await sending

    async def _send_events(self, send: Send, write_now: Callable[[bytes], bool]) -> None:
        async def write(body: bytes) -> None:
            await send({"type": "http.response.body", "body": body, "more_body": True})

        def deliver(events: Sequence[OrderEvent]) -> bool:
            return write_now(_text_of(events))

        # An id without data is no event, but what a client resumes from before the first one.
        lost = b"event: reset\ndata: {}\n" if self._listener.is_lost else b""
        await write(b"retry: 1000\n%sid: %s\n\n" % (lost, to_id(self._listener.position)))
        while True:
            await write(_text_of(await self._listener.next(deliver)))


def to_id(position: Position) -> bytes:
    """Encode a position as the id of an event."""
    return _ids.encode(position).encode()


def from_id(text: str) -> Position | None:
    """Decode the id of an event; None for an empty text.

    Raises:
        ValueError: ``to_id`` did not make it.
    """
    if not text:
        return None
    with suppress(ValueError):
        position = _ids.decode(text)
        if position.transaction >= 0:
            return position
    raise ValueError("must be the id of an event")


def _requested(scope: Scope) -> Position | None:
    """Return the position that a client resumes from; the header is of a later connection."""
    pairs = query_pairs(scope["query_string"])
    if header := dict(scope["headers"]).get(_LAST_ID):
        pairs = [pair for pair in pairs if pair[0] != _PARAMETER]
        pairs.append((_PARAMETER, header.decode("latin-1")))
    position: Position | None = query_values(pairs, {_PARAMETER: from_id}).get(_PARAMETER)
    return position


class _Encoder:
    """Encodes events; remembers the text of the latest, which most listeners get."""

    _events: Sequence[OrderEvent] = ()
    _text = _HEARTBEAT

    def __call__(self, events: Sequence[OrderEvent]) -> bytes:
        if events is not self._events:
            self._events, self._text = events, b"".join(map(_text, events)) or _HEARTBEAT
        return self._text


def _text(event: OrderEvent) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        to_id(event.position),
        b"stored" if event.summary else b"forgotten",
        _encode(event.summary or {"order_uid": event.order_uid}),
    )


_text_of = _Encoder()
