"""One connection of HTTP/1.1: uvicorn's, with bounds, and with less work for reads of orders."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import Any, NamedTuple, NoReturn, cast

import httptools
import structlog
from litestar.exceptions import HTTPException
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from orders.entrypoints.http.asgi_types import WRITE_NOW, Scope
from orders.entrypoints.http.problems import (
    INVALID_REQUEST,
    OVERLOADED,
    HTTPProblem,
    problem_response,
)
from orders.entrypoints.http.request_turns import (
    READS_PER_LOOK_UP,
    READS_PER_REQUEST,
    RequestTurns,
)
from orders.entrypoints.http.responses import Header, RawResponse
from orders.metrics import REQUESTS

_HEADER_BYTES = 32_768
"""Bytes that a path, and the headers or the trailers of a request, may have. Thousands of
connections may be open, and whoever opens them has shown no key."""
_HEADERS = 100
"""Headers, or trailers, of a request: each takes far more memory than the four bytes of ``a:``."""
_MOST_WAITING = 20
"""Requests of one connection that wait for responses to earlier ones."""
_WAITING_BYTES = 10_000
"""Memory that each of them takes besides its URL, headers and body."""
_URL_COPIES = 3
"""What it takes of its URL: the whole, the path and the query, some of them decoded."""
_HEADER_OVERHEAD = 120
"""Bytes that a header takes besides its name and value; of all of them, half as much is lost."""
_SLOW_BYTES = 32_768
"""Bytes of a body in a second that are not slow."""
_COUNTED_BODY = 65_536
"""The first bytes of a body, which count there; the others have a bound (``RequestBodies``)."""
_PARSED_BYTES = 4_096
"""Bytes that are parsed at a time: of a body they may be hundreds of chunks."""
_PART_BYTES = 1_024
_MOST_UNREAD_PARTS = 100
"""Parts by which a body that arrives after its response, so that nobody reads it, may exceed its
size in parts of that many bytes. Each takes as much time as a larger one, and whoever sends them
need not have shown a key."""
_READ_BYTES = 10_240
"""Bytes of a response that take about as long as a read of a cached order."""
_ERROR_BYTES = 200
"""The same of an error, which is a page for browsers."""
_HEAD_BYTES = 100
"""The same of the path and query and of long headers: they may be escapes, or a thousand ranges."""
_LONG_HEADER = 256
"""Bytes; shorter ones take no time to speak of."""
_WRITTEN_BYTES = 65_536
"""Bytes that are written at a time."""
_NOT_HTTP = (
    "this is not HTTP/1.1, its path has characters that are not percent-encoded, or it is one of "
    f"more than {_MOST_WAITING} requests that have not waited for a response"
)
_NOT_PLAIN = frozenset({b"content-length", b"expect", b"transfer-encoding", b"upgrade"})
"""Headers with which something may follow the headers."""
_VERSIONS = frozenset({"1.0", "1.1"})

log = structlog.get_logger("orders.http")


class Bounds(NamedTuple):
    """What clients may take."""

    idle_timeout: float
    """Seconds in which the headers of the next request are complete."""
    reader_timeout: float
    """Seconds without taking anything of a response."""
    max_connections: int
    """Others are refused."""
    most_held: int
    """Bytes that may wait for their clients in a process (``Connection.held``). Beyond that, within
    a tenth of a second the clients are disconnected that have done nothing about it for the longest
    time, or for which most waits. Beyond twice as much no long order is sent."""
    most_request_bytes: int
    """Bytes that the requests which are being served may have (``Connection.request_bytes``).
    Beyond that, the clients are disconnected whose bodies arrive the slowest
    (``Connection.seconds_late``), then those with the largest requests. A body arrives as slowly as
    its client likes, and a form to log in is read from clients without a key."""


class Totals:
    """What the connections of a process have in sum.

    Attributes:
        held: bytes that wait for clients, the sum of ``Connection.held``.
        request_bytes: those of requests that are being served, the sum of
            ``Connection.request_bytes``.
        refused: connections that were one too many, since this was reported.
        aborted: connections that were given up, since this was reported.
    """

    def __init__(self) -> None:
        self.held = self.request_bytes = self.refused = self.aborted = 0


Respond = Callable[[Scope], RawResponse | Coroutine[Any, Any, RawResponse] | None]
"""See ``Connection``."""


class _Read:
    """A request that ``respond`` serves, with what uvicorn looks at in a request."""

    body = b""
    disconnected = False
    message_event = asyncio.Event()  # it may be set, but nobody waits for it
    more_body = False
    response_started = False

    def __init__(self, *, keep_alive: bool, response_complete: bool = False) -> None:
        self.keep_alive = keep_alive
        self.response_complete = response_complete


class Flow(FlowControl):
    """Reads nothing, whoever asks for more of a body, while something waits for its turn.

    Attributes:
        is_waiting: whether something does.
    """

    is_waiting = False

    def resume_reading(self) -> None:
        """Go on reading, if nothing waits."""
        if not self.is_waiting:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """Serves the requests of one connection, one after the other.

    ``cycle`` is the newest request. While ``pipeline`` holds requests that wait for their turn, the
    newest of them at its left end, it is not the one that is being served.

    If the application has a method ``respond``, that is called first for a GET without a body. It
    returns the response, a coroutine that returns it, or None: then the application is called as
    usual. This takes a third of the time that uvicorn takes for a request, with a task, an event
    and much else (docs/performance.md).

    Attributes:
        held: bytes that wait for the client, as far as is known: responses that it has not
            taken, headers that are not complete, bodies, requests that wait for responses.
        seconds_stalled: for how long they have not become fewer.
        request_bytes: those of the request that is being served.
        seconds_idle: since that began, or the last response was sent.
        has_received: set with all that arrives.
        flow: pauses reading.
        transports: what responses pass through, that of TLS before that of TCP.
    """

    flow: Flow

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds,
        totals: Totals,
        turns: RequestTurns,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.cycle = cast("RequestResponseCycle", _NO_REQUEST)
        self.headers = []
        self._respond: Respond = getattr(self.app, "respond", _never)
        self._bounds = bounds
        self._totals = totals
        self._turns = turns
        self._deferred = b""  # what has arrived, and waits for its turn
        self._served: RequestResponseCycle | None = None  # by the application, not ``respond``
        self._is_plain = True  # the request has none of ``_NOT_PLAIN``
        self._unfinished = 0  # bytes since headers, a part of a body or a request were complete
        self._fault: Exception | None = None  # what has stopped the parser
        self._refusal: RawResponse | None = None  # to be sent after the responses that are due
        self._unread_parts: float = 0  # see ``_MOST_UNREAD_PARTS``
        self._body_bytes = 0  # of the newest request
        self._long_bytes = 0  # of its long headers, and of trailers before them
        self._head_reads = 0  # what its head costs, in reads of cached orders
        self.held = self.request_bytes = 0
        self.seconds_stalled = self.seconds_idle = 0
        self.has_received = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve the connection, unless there are too many."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.transports = [transport]
        transport.set_write_buffer_limits(_WRITTEN_BYTES)  # with TLS it would be eight times that
        self._paced = PacedTransport(transport, self._hold_long)
        self.transport = cast("asyncio.Transport", self._paced)
        if len(self.connections) > self._bounds.max_connections:
            self._totals.refused += 1
            self._refuse(HTTPProblem(OVERLOADED, "too many connections at a time"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being served; uvicorn tells the newest alone."""
        super().connection_lost(exc)
        self._turns.forget(self._go_on)
        self._turns.forget(self._serve_waiting)
        self._hold(0)
        self._count_request(0)
        if self._served is not None:
            self._served.disconnected = True
            self._served.message_event.set()
        # All that leads from here to itself. Else the garbage collector alone would free it, which
        # seldom runs, and with it the buffers of TLS.
        self._served = self._fault = None
        self.cycle = cast("RequestResponseCycle", _NO_REQUEST)
        self.pipeline.clear()
        self.scope = cast("Any", {})
        self._paced.end()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Finish a long response whose reader sends nothing more; TLS cannot."""
        is_to_finish = self._paced.size > 0 and len(self.transports) == 1
        if is_to_finish:
            self.transport.close()
        return is_to_finish

    def data_received(self, data: bytes) -> None:
        """Serve the requests in what has arrived."""
        self.has_received = True
        if self._refusal is not None or self.transport.is_closing():
            return  # by TLS more may arrive
        if self._deferred or self._turns.is_over:
            self._deferred += data
            self._hold(self.held + len(data))
            self.flow.pause_reading()
            self.flow.is_waiting = True
            self._turns.wait(self._go_on)
            return
        if len(data) > _PARSED_BYTES:
            self._data_received_in_parts(data)
            return
        self._unfinished += len(data)
        while data:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade() + data[upgrade.args[0] :]
            except httptools.HttpParserError:
                self._turns.begin()
                self._refuse(self._fault or HTTPProblem(INVALID_REQUEST, _NOT_HTTP))
                return
        if self._unfinished:  # else it has been counted
            self._turns.begin(reads=1)
            if self._unfinished > _HEADER_BYTES:
                self._refuse(_problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))

    def _data_received_in_parts(self, data: bytes) -> None:
        for start in range(0, len(data), _PARSED_BYTES):
            if self._turns.is_over:
                self.data_received(data[start:])
                return
            self.data_received(data[start : start + _PARSED_BYTES])

    def on_url(self, url: bytes) -> None:
        """Take a part of the path and query."""
        self.url += url
        if len(self.url) > _HEADER_BYTES:
            self._stop(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header or trailer."""
        name = name.lower()
        if name in _NOT_PLAIN:
            self._is_plain = False
            if name == b"expect":
                is_new = self.parser.get_http_version() == "1.1"
                self.expect_100_continue = is_new and value.lower() == b"100-continue"
            elif name == b"transfer-encoding" and value.lower() != b"chunked":
                self._stop(HTTPStatus.NOT_IMPLEMENTED)
        self.headers.append((name, value))
        if len(value) > _LONG_HEADER:
            self._long_bytes += len(value)
        if len(self.headers) > _HEADERS:  # at once: what has arrived may hold thousands
            self._stop(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Begin to serve a request."""
        if self.transport.is_closing():
            raise ValueError("the connection was closed")
        method = self.parser.get_method()
        version = self.parser.get_http_version()
        if not self._is_plain and method != b"CONNECT" and self.parser.should_upgrade():
            return  # it comes again by ``_without_upgrade``
        if version not in _VERSIONS:
            self._stop(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        if b"#" in self.url:
            raise ValueError("a fragment is not sent")
        if self._unfinished > _HEADER_BYTES and _size(self.headers) > _HEADER_BYTES:
            self._stop(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self._head_reads = (len(self.url) + self._long_bytes) // _HEAD_BYTES
        self._unfinished = self._body_bytes = self._unread_parts = self._long_bytes = 0
        self.headers = []  # those of the request stay in its scope; trailers may follow
        is_free = self.cycle.response_complete and not self.flow.write_paused
        if method == b"GET" and self._is_plain and is_free and self._serve_read(version):
            return
        if method == b"CONNECT":  # for the parser it is an upgrade, with and without that header
            self._stop(HTTPStatus.NOT_IMPLEMENTED)
        if len(self.pipeline) >= _MOST_WAITING:
            raise ValueError("too many requests without waiting for a response")
        cast("Scope", self.scope)[WRITE_NOW] = self._write_now
        super().on_headers_complete()
        if self.pipeline:
            self._hold(self.held + _waiting_bytes(self.cycle))

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._unfinished = 0
        self._turns.begin(reads=1)
        if self.cycle.response_complete:
            self._unread_parts = max(0, self._unread_parts + 1 - len(body) / _PART_BYTES)
            if self._unread_parts > _MOST_UNREAD_PARTS:
                self.transport.close()
                raise ValueError("nobody reads this body, and it has many parts")
        super().on_body(body)
        if self._served is self.cycle:
            counted = min(len(body), max(0, _COUNTED_BODY - self._body_bytes))
            self._body_bytes += len(body)
            self._count_request(self.request_bytes + counted)

    def on_message_complete(self) -> None:
        """Let the request know that it has arrived as a whole."""
        if not self._is_plain:
            if self.parser.should_upgrade():
                return
            if self.cycle.keep_alive and not self.parser.should_keep_alive():
                # The parser would take no further request, and the connection would stay open.
                raise ValueError("a trailer ends the connection")
            self._turns.begin()  # what waited for the body goes on
        self._unfinished = 0
        self._is_plain = True
        self.cycle.more_body = False
        if not self.cycle.response_complete:
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        self.seconds_idle = 0
        self._served = None
        self._count_request(0)
        self._serve_waiting()

    def shutdown(self) -> None:
        """Let the request in progress be the last one."""
        super().shutdown()
        if self.transport.is_closing() and not self._unsent():
            self.transport.abort()  # else the end of TLS would wait for the client

    def pause_writing(self) -> None:
        """Let responses wait for their reader."""
        self._paced.is_paused = True
        super().pause_writing()

    def resume_writing(self) -> None:
        """Go on with a response that waited for its reader, and then with requests behind it."""
        if self._paced.go_on():
            super().resume_writing()
        self._hold(self._unsent())
        if self.pipeline and self._served is None:
            self._serve_waiting()

    @property
    def held_by_choice(self) -> int:
        """``held`` without what is of a request that is being served, and waits for its turn."""
        return self.held if self.cycle.response_complete else self.held - len(self._deferred)

    @property
    def blame(self) -> tuple[int, int]:
        """For how many seconds it has held something, and how many bytes by choice.

        Whose turn has not come yet is behind all that have just been sent a long response.
        """
        return max(0, self.seconds_stalled), self.held_by_choice

    @property
    def seconds_late(self) -> float:
        """By how much longer the body has been arriving than it may without being slow.

        Less than 0 if it is not slow; 0 once it has arrived.
        """
        late = self.seconds_idle - self._body_bytes / _SLOW_BYTES
        return late if self.cycle.more_body else 0.0

    def check(self) -> None:
        """Close the connection of a client that does nothing; to be called every second."""
        self.seconds_idle += 1
        if self.seconds_idle > self._bounds.idle_timeout and self.cycle.response_complete:
            self.transport.close()
        if self.transport.is_closing():
            self.flow.resume_reading()  # else the end of TLS would not be noticed
        before = self.held
        self.measure()
        # The client has something to do, at least for the end of TLS, if it is not waiting itself.
        is_due = (before > 0 or self.transport.is_closing()) and not self._deferred
        self.seconds_stalled = self.seconds_stalled + 1 if is_due and self.held >= before else 0
        if self.seconds_stalled > self._bounds.reader_timeout:
            self.give_up()

    def measure(self) -> None:
        """Find out ``held``."""
        arrived = len(self._deferred) + self._unfinished + len(self.cycle.body)
        waiting = sum(_waiting_bytes(cycle) for cycle, _ in self.pipeline)
        self._hold(self._unsent() + arrived + waiting)

    def give_up(self) -> None:
        """Abort the connection of a client that others would have to wait for."""
        self._totals.aborted += 1
        self._hold(0)
        self._count_request(0)
        self.transport.abort()

    def _unsent(self) -> int:
        return self._paced.size + sum(each.get_write_buffer_size() for each in self.transports)

    def _hold(self, number: int) -> None:
        self._totals.held += number - self.held
        self.held = number

    def _count_request(self, number: int) -> None:
        self._totals.request_bytes += number - self.request_bytes
        self.request_bytes = number

    def _hold_long(self) -> None:
        """Note a long part of a response, without waiting for the next check."""
        self._hold(self._unsent())
        self.seconds_stalled = -1  # the check may come at once

    def _go_on(self) -> None:
        """Serve the requests in what waited for its turn."""
        data, self._deferred = self._deferred, b""
        self.measure()
        self.flow.is_waiting = False
        self.flow.resume_reading()
        self.data_received(data)

    def _serve_waiting(self) -> None:
        """Serve the next of the requests that wait for earlier ones.

        While some are waiting no more are read, as uvicorn would: a client that sends many small
        ones, and reads few of the responses, could fill the memory.
        """
        if self.transport.is_closing():
            return
        if self.pipeline and self._turns.is_over:
            self._turns.wait(self._serve_waiting)
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal is not None:
            self._send(self._refusal, keep_alive=False)
        if not self.pipeline and self._refusal is None:
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self.flow.write_paused:  # the response would wait in memory that nothing counts
            self.pipeline.append((cycle, app))
            self.flow.pause_reading()
            return
        self._served = cycle
        self.seconds_idle = 0
        self._turns.begin(READS_PER_REQUEST + self._head_reads)
        # The application decodes the headers, and keeps both.
        self._count_request(_waiting_bytes(cycle) + _header_memory(cycle.scope["headers"]))
        super()._start_asgi_task(cycle, app)

    def _without_upgrade(self) -> bytes:
        """Return the head of a request to upgrade without that, for a new parser.

        Only HTTP/1.1 is spoken here, and clients that offer more expect to be served all the same.
        The old parser would not read the body.
        """
        parts = [self.parser.get_method(), b" ", self.url]
        parts += b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"
        for name, value in self.headers:
            if name != b"upgrade":
                parts += name, b": ", value, b"\r\n"
        self.parser = httptools.HttpRequestParser(self)
        self._is_plain = True
        return b"".join((*parts, b"\r\n"))

    def _stop(self, status: HTTPStatus) -> NoReturn:
        """Make the parser stop, from one of its callbacks."""
        self._fault = _problem(status)
        raise self._fault

    def _refuse(self, error: Exception) -> None:
        """Answer what does not become a request, after the responses that are due, and close."""
        if self.transport.is_closing():
            return
        refusal = _refusal(error)
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()  # the newest, whose body is at fault
        elif self.cycle.more_body and self.cycle.response_started:
            self.transport.close()
            return
        elif self.cycle.more_body or self.cycle.response_complete:
            self._send(refusal, keep_alive=False)
            return
        self._refusal = refusal
        self.flow.pause_reading()

    def _serve_read(self, version: str) -> bool:
        """Serve a GET by ``respond``; returns False if that does not serve it."""
        self.scope["method"] = "GET"
        self.scope["raw_path"] = self.url.partition(b"?")[0]
        response = self._respond(self.scope)
        keep_alive = version == "1.1" and self.parser.should_keep_alive()
        if isinstance(response, RawResponse):
            self._turns.begin(reads=1 + self._head_reads)
            self._send(response, keep_alive=keep_alive)
        elif response is not None:
            self._send_later(response, keep_alive=keep_alive)
        return response is not None

    def _write_now(self, body: bytes) -> bool:
        """Write a chunk of the response in progress, unless its reader is slow."""
        if self.flow.write_paused:
            return False
        self.transport.write(b"%x\r\n%s\r\n" % (len(body), body))
        return True

    def _send_later(self, response: Coroutine[Any, Any, RawResponse], *, keep_alive: bool) -> None:
        read = _Read(keep_alive=keep_alive)
        self.cycle = cast("RequestResponseCycle", read)
        self._count_request(_WAITING_BYTES + len(self.url) + _header_memory(self.scope["headers"]))
        self._turns.begin(reads=READS_PER_LOOK_UP + self._head_reads)
        self.tasks.add(self.loop.create_task(self._send_when_ready(response, read)))

    async def _send_when_ready(
        self, response: Coroutine[Any, Any, RawResponse], read: _Read
    ) -> None:
        try:
            found = await response
        except Exception:
            log.exception("unforeseen error")
            self.transport.abort()
            return
        finally:
            self.tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        read.response_complete = True
        if not self.transport.is_closing():
            self._send(found, keep_alive=read.keep_alive)
            self.on_response_complete()

    def _send(self, response: RawResponse, *, keep_alive: bool) -> None:
        self.seconds_idle = 0
        is_error = response.status >= HTTPStatus.BAD_REQUEST
        reads = len(response.body) // (_ERROR_BYTES if is_error else _READ_BYTES)
        if reads:
            self._turns.begin(reads)
        parts = [STATUS_LINE[response.status]]
        for name, value in self.server_state.default_headers:
            parts += name, b": ", value, b"\r\n"
        for name, value in response.headers:
            parts += name, b": ", value, b"\r\n"
        if not keep_alive:
            parts.append(b"connection: close\r\n")
        parts += response.common.lines, b"\r\n"
        is_long = len(response.body) > _WRITTEN_BYTES
        if is_long and self._totals.held > 2 * self._bounds.most_held:
            refusal = _refusal(HTTPProblem(OVERLOADED, "too much waits for other clients"))
            self._send(refusal, keep_alive=keep_alive)
            return
        if not is_long:
            parts.append(response.body)
        self.transport.write(b"".join(parts))
        if is_long:
            self.transport.write(response.body)
        if not keep_alive:
            self.transport.close()


class PacedTransport:
    """A transport that is given long responses bit by bit, as their readers take them.

    uvloop keeps what is written at a time until its last byte was taken, and tells only how much is
    left of it; TLS keeps as much for as long as the connection lasts.

    What is written once it is closed is dropped; uvloop's raises RuntimeError.

    Attributes:
        is_paused: whether the transport has enough for now.
        size: bytes that it has not been given yet.
    """

    def __init__(self, transport: asyncio.Transport, on_long: Callable[[], None]) -> None:
        self.is_paused = False
        self.size = 0
        self._transport = transport
        self._on_long = on_long
        self._parts = deque[bytes]()
        self._is_closing = False

    def write(self, data: bytes) -> None:
        """Write ``data`` after what waits."""
        if self.is_closing():
            return
        if len(data) <= _WRITTEN_BYTES and not self.is_paused:
            self._transport.write(data)
            return
        for start in range(0, len(data), _WRITTEN_BYTES):
            self._parts.append(data[start : start + _WRITTEN_BYTES])
        self.size += len(data)
        self._write_parts()
        if len(data) > _WRITTEN_BYTES:
            self._on_long()

    def go_on(self) -> bool:
        """Write what waits, after a pause; returns whether nothing of it is left."""
        self.is_paused = False
        self._write_parts()
        return not self.is_paused

    def close(self) -> None:
        """Close the transport, once it has been given all that was written before."""
        self._is_closing = True
        if not self._parts:
            self._transport.close()

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._is_closing or self._transport.is_closing()

    def abort(self) -> None:
        """Close the transport at once."""
        self._transport.abort()

    def end(self) -> None:
        """Drop what waits, and what leads back to the connection, once that is lost."""
        self._parts.clear()
        self.size = 0
        del self._on_long
        self._transport.set_protocol(asyncio.Protocol())

    def _write_parts(self) -> None:
        while self._parts and not self.is_paused and not self._transport.is_closing():
            part = self._parts.popleft()
            self.size -= len(part)
            self._transport.write(part)
        if self._is_closing and not self._parts:
            self._transport.close()


_NO_REQUEST = _Read(keep_alive=True, response_complete=True)


def _never(scope: Scope) -> None:
    """Stand in for the ``respond`` of an application that has none."""


def _refusal(error: Exception) -> RawResponse:
    """Return a problem response, and count it: the application knows nothing of it."""
    response = problem_response(error, request_id="")
    REQUESTS.series("unknown", "other", response.status).observe(0)
    return response


def _waiting_bytes(cycle: RequestResponseCycle) -> int:
    url = len(cycle.scope["raw_path"]) + len(cycle.scope["query_string"])
    headers = _header_memory(cycle.scope["headers"])
    return _WAITING_BYTES + _URL_COPIES * url + headers + len(cycle.body)


def _header_memory(headers: Iterable[Header]) -> int:
    return sum(_HEADER_OVERHEAD + len(name) + len(value) for name, value in headers) * 3 // 2


def _size(headers: Iterable[Header]) -> int:
    return sum(len(name) + len(value) for name, value in headers)


def _problem(status: HTTPStatus) -> HTTPException:
    return HTTPException(status_code=status)
