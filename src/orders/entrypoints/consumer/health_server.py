"""Serves GET /health/live and /health/ready of the consumer, in threads of its own.

The checks are to notice an event loop that is stuck, so they must not run in it. Slow or broken
clients do no harm: threads are few, and each connection is closed after some seconds.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

import msgspec
from msgspec import Struct

from orders.daemon_thread import in_daemon_thread
from orders.domain.use_cases.check_readiness import Readiness

CONNECTIONS = 16
"""Connections at a time; further ones are closed at once."""
CONNECTION_SECONDS = 4.0
"""Seconds after which a connection is closed."""
REPORT_TIMEOUT = 2.0
"""Seconds that the event loop may take for the readiness report; each dependency has 1 s."""
STUCK_AFTER_SECONDS = 5.0
"""An event loop that has not run for this long makes the process not live."""

_BEAT_SECONDS = 0.5
_POLL_SECONDS = 0.1


class ConsumerReadiness(Readiness, frozen=True):
    """Readiness as of the API; ``moving`` is false if a batch has been in storing for a minute."""

    moving: bool


class _Liveness(Struct, frozen=True):
    state: str


@asynccontextmanager
async def serve_health(
    host: str, port: int, report: Callable[[], Awaitable[ConsumerReadiness]]
) -> AsyncIterator[int]:
    """Serve health checks during the block; yields the port.

    Args:
        host: name or address to listen on.
        port: port to listen on; 0 for any.
        report: called in this event loop for each GET /health/ready.

    Raises:
        OSError: the address cannot be bound.
    """
    heartbeat = _Heartbeat(asyncio.get_running_loop(), report)
    server = _Server(host, port, heartbeat)
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
        report: Callable[[], Awaitable[ConsumerReadiness]],
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

    def ask(self) -> ConsumerReadiness | None:
        """Return the readiness report, or None if the event loop does not answer in time."""

        async def report() -> ConsumerReadiness:
            return await self._report()

        future = asyncio.run_coroutine_threadsafe(report(), self._loop)
        try:
            return future.result(REPORT_TIMEOUT)
        except TimeoutError:
            future.cancel()
            return None


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True  # connections of an earlier run may be in TIME_WAIT

    def __init__(self, host: str, port: int, heartbeat: _Heartbeat) -> None:
        self.heartbeat = heartbeat
        self._deadlines: dict[Any, float] = {}
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, _, _, _, address = found[0]
        super().__init__(address, _Handler)  # type: ignore[arg-type]

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether to accept another connection; runs in the server thread."""
        del client_address
        if len(self._deadlines) >= CONNECTIONS:
            return False
        self._deadlines[request] = time.monotonic() + CONNECTION_SECONDS
        return True

    def service_actions(self) -> None:
        """Close connections that have taken too long; called every tenth of a second."""
        now = time.monotonic()
        for request in [r for r, deadline in self._deadlines.copy().items() if deadline < now]:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self._deadlines.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors of clients."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "orders"
    sys_version = ""
    timeout = CONNECTION_SECONDS

    def do_GET(self) -> None:
        if self.path == "/health/live":
            is_live = self.server.heartbeat.is_live
            self._respond(200 if is_live else 503, _Liveness("live" if is_live else "stuck"))
        elif self.path == "/health/ready":
            report = self.server.heartbeat.ask()
            is_ready = report is not None and report.state != "unavailable"
            self._respond(200 if is_ready else 503, report or _NO_REPORT)
        else:
            self.send_error(404)

    do_HEAD = do_GET  # noqa: N815 (the base class names it)

    def _not_found(self) -> None:
        self.send_error(404)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _not_found  # noqa: N815

    def _respond(self, status: int, content: Struct) -> None:
        body = msgspec.json.encode(content)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Probes come every few seconds and are not logged."""


_NO_REPORT = ConsumerReadiness("unavailable", {}, moving=False)
