"""Serves GET /health/live, /health/ready and /metrics in threads of its own.

The checks are to notice an event loop that is stuck, so they must not run in it. Slow or broken
clients do no harm: threads are few, each connection is closed after some seconds, and the oldest of
too many at once. Clients that open hundreds of connections a second do keep others away; the port
is for probes and Prometheus alone.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, cast

import msgspec
import structlog
from msgspec import Struct
from prometheus_client import generate_latest

from orders import metrics
from orders.daemon_thread import in_daemon_thread
from orders.domain.errors import Unavailable
from orders.domain.use_cases.check_readiness import Readiness
from orders.entrypoints.startup import EXIT_FAILED

CONNECTIONS = 16
"""Connections at a time. Beyond that the oldest is closed: whoever holds many and asks nothing must
not keep the checks away."""
THREADS = 2 * CONNECTIONS
"""With those of closed connections that have not ended yet; beyond that new ones are closed."""
CONNECTION_SECONDS = 4.0
"""Seconds after which a connection is closed."""
HEAD_BYTES = 8_192
"""Bytes of a request that are read. ``http.server`` would read 6.5 MB of headers, and make up to
1.6 million of them."""
REPORT_TIMEOUT = 2.0
"""Seconds that the event loop may take for the readiness report; each dependency has 1 s."""
SHARED_SECONDS = 1.0
"""Scrapes within this time get the same text: each would take the processor from the event loop."""
STUCK_AFTER_SECONDS = 5.0
"""An event loop that has not run for this long makes the process not live."""

_BEAT_SECONDS = 0.5
_POLL_SECONDS = 0.1


_log = structlog.get_logger(__name__)


class _Liveness(Struct, frozen=True):
    state: str


@asynccontextmanager
async def serve_health_checks(
    host: str,
    port: int | None,
    report: Callable[[], Awaitable[Readiness]],
    no_report: Readiness,
    *,
    exposition: Callable[[], bytes] = generate_latest,
    is_shared: bool = False,
) -> AsyncIterator[None]:
    """Serve health checks as ``serve_health`` if ``port`` is set; exit if it cannot listen."""
    async with AsyncExitStack() as stack:
        if port is not None:
            serving = serve_health(
                host, port, report, no_report, exposition=exposition, is_shared=is_shared
            )
            try:
                await stack.enter_async_context(serving)
            except OSError as error:
                _log.critical("cannot listen", host=host, port=port, reason=error.strerror)
                raise SystemExit(EXIT_FAILED) from None
            _log.info("health checks are served", host=host, port=port)
        yield


@asynccontextmanager
async def serve_health(
    host: str,
    port: int,
    report: Callable[[], Awaitable[Readiness]],
    no_report: Readiness,
    *,
    exposition: Callable[[], bytes] = generate_latest,
    is_shared: bool = False,
) -> AsyncIterator[int]:
    """Serve health checks during the block; yields the port.

    Args:
        host: name or address to listen on.
        port: port to listen on; 0 for any.
        report: called in this event loop for each GET /health/ready.
        no_report: the response to GET /health/ready while the event loop is stuck.
        exposition: the response to GET /metrics, called in a thread.
        is_shared: whether several processes listen on the port, one of which gets a connection.

    Raises:
        OSError: the address cannot be bound.
    """
    heartbeat = _Heartbeat(asyncio.get_running_loop(), report)
    server = _Server(host, port, heartbeat, no_report, exposition, is_shared=is_shared)
    beating = asyncio.create_task(heartbeat.beat())
    threading.Thread(
        target=server.serve_forever, args=(_POLL_SECONDS,), name="health", daemon=True
    ).start()
    try:
        yield int(server.server_address[1])
    finally:
        beating.cancel()
        await in_daemon_thread(server.shutdown)
        server.server_close()


class _Heartbeat:
    """The event loop, as seen from other threads."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        report: Callable[[], Awaitable[Readiness]],
    ) -> None:
        self._loop = loop
        self._report = report
        self._last = time.monotonic()

    async def beat(self) -> None:
        while True:
            self._last = time.monotonic()
            await asyncio.sleep(_BEAT_SECONDS)

    @property
    def is_live(self) -> bool:
        return time.monotonic() - self._last < STUCK_AFTER_SECONDS

    def ask(self) -> Readiness | None:
        """Return the readiness report, or None if the event loop does not answer in time."""

        async def report() -> Readiness:
            return await self._report()

        future = asyncio.run_coroutine_threadsafe(report(), self._loop)
        try:
            return future.result(REPORT_TIMEOUT)
        except TimeoutError:
            future.cancel()
            return None


class _Shared:
    """Makes the text of metrics for all that ask for it within ``SHARED_SECONDS``."""

    def __init__(self, exposition: Callable[[], bytes]) -> None:
        self._exposition = exposition
        self._lock = threading.Lock()
        self._text = b""
        self._until = 0.0

    def __call__(self) -> bytes:
        with self._lock:
            begun = time.monotonic()
            if begun >= self._until:
                self._text = self._exposition()
                self._until = begun + SHARED_SECONDS
            return self._text


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True  # connections of an earlier run may be in TIME_WAIT
    request_queue_size = 128  # with the base class's 5, a connection beside many takes seconds

    def __init__(
        self,
        host: str,
        port: int,
        heartbeat: _Heartbeat,
        no_report: Readiness,
        exposition: Callable[[], bytes],
        *,
        is_shared: bool,
    ) -> None:
        self.exposition = _Shared(exposition)
        self.heartbeat = heartbeat
        self.no_report = no_report
        self.allow_reuse_port = is_shared
        self._deadlines: dict[Any, float] = {}
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, _, _, _, address = found[0]
        super().__init__(address, _Handler)  # type: ignore[arg-type]

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether to accept another connection; runs in the server thread."""
        del client_address
        if len(self._deadlines) >= THREADS:
            return False
        self._deadlines[request] = time.monotonic() + CONNECTION_SECONDS
        for oldest in list(self._deadlines)[:-CONNECTIONS]:
            _end(oldest)
        return True

    def service_actions(self) -> None:
        """Close connections that have taken too long; called every tenth of a second."""
        now = time.monotonic()
        for request in [r for r, deadline in self._deadlines.copy().items() if deadline < now]:
            _end(request)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self._deadlines.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors of clients."""


def _end(request: Any) -> None:
    """End a connection, whose thread then stops waiting for it."""
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _Head:
    """The first ``HEAD_BYTES`` of a file."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self.left = HEAD_BYTES
        self.close = file.close

    def readline(self, size: int) -> bytes:
        line = self._file.readline(min(size, self.left))
        self.left -= len(line)
        return line


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "orders"
    sys_version = ""
    timeout = CONNECTION_SECONDS

    def setup(self) -> None:
        super().setup()
        self._head = _Head(self.rfile)
        self.rfile = cast("BufferedIOBase", self._head)

    def parse_request(self) -> bool:
        is_one = super().parse_request()
        if is_one and not self._head.left:
            self.send_error(431)
            return False
        return is_one

    def do_GET(self) -> None:
        if self.path == "/health/live":
            is_live = self.server.heartbeat.is_live
            self._respond(200 if is_live else 503, _Liveness("live" if is_live else "stuck"))
        elif self.path == "/health/ready":
            report = self.server.heartbeat.ask()
            is_ready = report is not None and report.state != "unavailable"
            self._respond(200 if is_ready else 503, report or self.server.no_report)
        elif self.path == "/metrics":
            try:
                text = self.server.exposition()
            except Unavailable as error:
                self.send_error(503, str(error))
            else:
                self._send(200, metrics.CONTENT_TYPE, text)
        else:
            self.send_error(404)

    do_HEAD = do_GET  # noqa: N815 (the base class names it)

    def _not_found(self) -> None:
        self.send_error(404)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _not_found  # noqa: N815

    def _respond(self, status: int, content: Struct) -> None:
        self._send(status, "application/json", msgspec.json.encode(content))

    def _send(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Probes come every few seconds and are not logged."""
