"""One connection of HTTP/1.1: uvicorn's, with bounds, and with less work for a quick response."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import structlog
from litestar.exceptions import HTTPException
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from orders.entrypoints.http.asgi_types import Scope
from orders.entrypoints.http.problems import (
    INVALID_REQUEST,
    OVERLOADED,
    HTTPProblem,
    problem_response,
)
from orders.entrypoints.http.responses import RawResponse

_HEADER_BYTES = 65_536
"""Bytes that the headers of a request may have. Thousands of connections may be open, and whoever
opens them has shown no key."""
_MOST_WAITING = 100
"""Requests of one connection that wait for responses to earlier ones; each takes some 3 KB."""
_NOT_HTTP = (
    "this is not HTTP/1.1, its path has characters that are not percent-encoded, or it is one of "
    f"more than {_MOST_WAITING} requests that have not waited for a response"
)
_NO_REQUEST = cast(
    "RequestResponseCycle", SimpleNamespace(response_complete=True, message_event=asyncio.Event())
)
"""The request of a connection that has had none that was left to uvicorn."""

log = structlog.get_logger("orders.http")


class Bounds(NamedTuple):
    """What clients may take."""

    idle_timeout: float
    """Seconds in which the headers of the next request are complete."""
    reader_timeout: float
    """Seconds without taking anything of a response."""
    max_connections: int
    """Others are refused."""


_AtOnce = Callable[[Scope], RawResponse | None]


class Connection(HttpToolsProtocol):
    """Serves the requests of one connection, one after the other.

    If the application has a method ``at_once``, that is asked first for the response to a GET. If
    it returns None, the application is called as usual. This takes a third of the time that uvicorn
    takes for a request, with a task, an event and much else (docs/performance.md).

    Attributes:
        unread: bytes of responses that the client has not taken, at the last ``check``.
        seconds_unread: for how long it has taken nothing of them.
    """

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
        self.cycle = _NO_REQUEST
        self.headers = []
        self._at_once: _AtOnce = getattr(self.app, "at_once", _never)
        self._bounds = bounds
        self._header_bytes = 0
        self._seconds_idle = 0
        self.unread = 0
        self.seconds_unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve the connection, unless there are too many."""
        super().connection_made(transport)
        self._responses = cast("asyncio.Transport", _Responses(transport))
        if len(self.connections) > self._bounds.max_connections:
            self._refuse(HTTPProblem(OVERLOADED, "too many connections at a time"))

    def data_received(self, data: bytes) -> None:
        """Serve the requests in what has arrived; refuses headers that are too long."""
        self._header_bytes += len(data)
        super().data_received(data)
        scope = cast("Scope | None", self.scope)
        if scope is None or "method" in scope:  # all headers are complete
            self._header_bytes = 0
            self.headers.clear()  # trailers
        elif self._header_bytes > _HEADER_BYTES and not self.transport.is_closing():
            self._refuse(HTTPException(status_code=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))

    def on_headers_complete(self) -> None:
        """Begin to serve a request."""
        if len(self.pipeline) >= _MOST_WAITING:
            raise ValueError("too many requests without waiting for a response")
        self._header_bytes = 0
        self.headers = []  # those of the request stay in its scope; trailers may follow
        is_free = self.cycle.response_complete and not self.flow.write_paused
        if is_free and self.parser.get_method() == b"GET":
            self.scope["method"] = "GET"
            self.scope["raw_path"] = self.url.partition(b"?")[0]
            response = self._at_once(self.scope)
            if response is not None:
                is_old = self.parser.get_http_version() == "1.0"
                self._send(response, keep_alive=self.parser.should_keep_alive() and not is_old)
                return
        super().on_headers_complete()
        self.cycle.transport = self._responses

    def on_response_complete(self) -> None:
        """Go on with the next request.

        While some are waiting no more are read, as uvicorn would: a client that sends many small
        ones, and reads few of the responses, could fill the memory.
        """
        self._seconds_idle = 0
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        if not self.pipeline:
            self.flow.resume_reading()

    def resume_writing(self) -> None:
        """Go on with a response that waited for its reader."""
        self.unread = 0
        super().resume_writing()

    def check(self) -> None:
        """Close the connection of a client that does nothing; to be called every second."""
        self._seconds_idle += 1
        if self._seconds_idle > self._bounds.idle_timeout and self.cycle.response_complete:
            self.transport.close()
        unread = self.transport.get_write_buffer_size()
        self.seconds_unread = self.seconds_unread + 1 if unread >= self.unread > 0 else 0
        self.unread = unread
        if self.seconds_unread > self._bounds.reader_timeout:
            self.give_up()

    def give_up(self) -> None:
        """Abort the connection of a client that does not read."""
        log.info("connection aborted", reason="the client has stopped reading")
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        del msg
        self._refuse(HTTPProblem(INVALID_REQUEST, _NOT_HTTP))

    def _refuse(self, error: Exception) -> None:
        """Answer what does not become a request, and close the connection."""
        self._send(problem_response(error, request_id=""), keep_alive=False)

    def _send(self, response: RawResponse, *, keep_alive: bool) -> None:
        self._seconds_idle = 0
        parts = [STATUS_LINE[response.status]]
        for name, value in self.server_state.default_headers:
            parts += name, b": ", value, b"\r\n"
        for name, value in response.headers:
            parts += name, b": ", value, b"\r\n"
        if not keep_alive:
            parts.append(b"connection: close\r\n")
        parts += b"\r\n", response.body
        self.transport.write(b"".join(parts))
        if not keep_alive:
            self.transport.close()


class _Responses:
    """A transport that drops what is written after its end; uvloop's raises RuntimeError."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.close = transport.close
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


def _never(scope: Scope) -> None:
    """Stand in for the ``at_once`` of an application that has none."""
