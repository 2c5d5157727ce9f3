"""One connection of HTTP/1.1: uvicorn's, with bounds, and with less work for GET of an order."""

import asyncio
from collections.abc import Coroutine, Generator, Iterable
from contextvars import copy_context
from functools import cached_property, partial
from http import HTTPStatus
from types import coroutine
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

import structlog
from litestar.exceptions import HTTPException
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from orders.entrypoints.http.asgi_types import Message, Scope
from orders.entrypoints.http.orders.order_path import PREFIX
from orders.entrypoints.http.problems import (
    INVALID_REQUEST,
    OVERLOADED,
    HTTPProblem,
    problem_response,
)
from orders.entrypoints.http.responses import Header

_HEADER_BYTES = 65_536
"""Bytes that the headers of a request may have. Thousands of connections may be open, and whoever
opens them has shown no key."""
_CLOSE = b"connection: close\r\n"
_NOT_HTTP = "this is not HTTP/1.1, or its path has characters that are not percent-encoded"
_READS = frozenset({b"GET", b"HEAD"})

log = structlog.get_logger("orders.http")


class Bounds(NamedTuple):
    """What clients may take."""

    idle_timeout: float
    """Seconds in which the headers of the next request are complete."""
    reader_timeout: float
    """Seconds without taking anything of a response."""
    max_connections: int
    """Others are refused."""


class Connection(HttpToolsProtocol):
    """Serves the requests of one connection, one after the other."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds
        self._header_bytes = 0
        self._seconds_idle = 0
        self._seconds_unread = 0
        self._unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve the connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._bounds.max_connections:
            self._refuse(HTTPProblem(OVERLOADED, "too many connections at a time"))

    def data_received(self, data: bytes) -> None:
        """Serve the requests in what has arrived; refuses headers that are too long."""
        super().data_received(data)
        scope = cast("Scope | None", self.scope)
        if scope is not None and "method" not in scope:  # the headers are not complete
            self._header_bytes += len(data)
            if self._header_bytes > _HEADER_BYTES and not self.transport.is_closing():
                self._refuse(HTTPException(status_code=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
        elif self.headers:  # trailers, of which there may be any number
            self.headers.clear()

    def on_headers_complete(self) -> None:
        """Begin to serve a request."""
        self._header_bytes = 0
        self.headers = []  # those of the request stay in its scope
        path, _, query = self.url.partition(b"?")
        if (
            self._is_idle()
            and path.startswith(PREFIX)
            and path != PREFIX
            and self.parser.get_method() in _READS
            and not self.flow.write_paused
        ):
            self._read_order(path, query)
        else:
            super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        self._seconds_idle = 0
        if self.pipeline or self.flow.read_paused:
            super().on_response_complete()
            self._unset_keepalive_if_required()  # ``check`` closes idle connections

    def resume_writing(self) -> None:
        """Go on with a response that waited for its reader."""
        self._unread = 0
        super().resume_writing()

    def check(self) -> None:
        """Close the connection of a client that does nothing; to be called every second."""
        self._seconds_idle += 1
        if self._seconds_idle > self._bounds.idle_timeout and self._is_idle():
            self.transport.close()
        unread = self.transport.get_write_buffer_size()
        self._seconds_unread = self._seconds_unread + 1 if unread >= self._unread > 0 else 0
        self._unread = unread
        if self._seconds_unread > self._bounds.reader_timeout:
            log.info("connection aborted", reason="the client has stopped reading")
            self.transport.abort()

    def _is_idle(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is None or cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        del msg
        self._refuse(HTTPProblem(INVALID_REQUEST, _NOT_HTTP))

    def _refuse(self, error: Exception) -> None:
        """Answer what does not become a request, and close the connection."""
        found = problem_response(error, request_id="")
        self.transport.write(_response(found.status, found.headers, found.body, _CLOSE))
        self.transport.close()

    def _read_order(self, path: bytes, query: bytes) -> None:
        """Begin to read an order.

        It mostly ends without waiting: a task is created only if it does not. What it calls before
        it waits may therefore not use ``asyncio.timeout`` or ``asyncio.current_task``.
        """
        scope = self.scope
        scope["method"] = self.parser.get_method().decode()
        scope["path"] = unquote(path.decode("latin-1"))
        scope["raw_path"] = path
        scope["query_string"] = query
        cycle = self.cycle = _OrderCycle(self)
        context = copy_context()
        serving = cycle.run_asgi(self.app)
        try:
            awaited = context.run(serving.send, None)
        except StopIteration:
            return
        task = self.loop.create_task(_finish(serving, awaited), context=context)
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)


class _OrderCycle(RequestResponseCycle):
    """The request of an order and its response, which is sent as one piece."""

    access_log = False
    chunked_encoding = None
    disconnected = False
    expected_content_length = 0
    more_body = True
    response_complete = False
    response_started = False
    _start: Message | None = None

    def __init__(self, connection: Connection) -> None:
        self.scope = connection.scope
        self.transport = connection.transport
        self.flow = connection.flow
        self.logger = connection.logger
        self.default_headers = connection.server_state.default_headers
        self.waiting_for_100_continue = connection.expect_100_continue
        self.keep_alive = connection.parser.should_keep_alive()
        self.on_response = connection.on_response_complete
        self.body = bytearray()

    @cached_property
    def message_event(self) -> asyncio.Event:  # type: ignore[override]
        """Set when there is something to receive; few requests ask."""
        return asyncio.Event()

    async def send(self, message: Message) -> None:
        """Send an ASGI message; the start of a response waits for its body."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        start = self._start
        if start is None or message.get("more_body", False):
            raise RuntimeError("the response of an order is one piece")
        if self.disconnected:
            return
        headers = (*self.default_headers, *start["headers"])
        response = _response(
            start["status"], headers, message["body"], b"" if self.keep_alive else _CLOSE
        )
        self.response_started = self.response_complete = True
        self.transport.write(response)
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _response(status: int, headers: Iterable[Header], body: bytes, more: bytes = b"") -> bytes:
    parts = [STATUS_LINE[status]]
    for name, value in headers:
        parts += name, b": ", value, b"\r\n"
    parts += more, b"\r\n", body
    return b"".join(parts)


async def _finish(begun: Coroutine[Any, None, None], awaited: Any) -> None:
    """Run the rest of a coroutine that has ``begun`` and now waits for ``awaited``."""
    await _rest(begun, awaited)


@coroutine
def _rest(begun: Coroutine[Any, None, None], awaited: Any) -> Generator[Any, Any, None]:
    while True:
        try:
            result = yield awaited
        except BaseException as error:  # noqa: BLE001 (CancelledError too is for the coroutine)
            resume = partial(begun.throw, error)
        else:
            resume = partial(begun.send, result)
        try:
            awaited = resume()
        except StopIteration:
            return
