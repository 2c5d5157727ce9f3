"""GET /health/live and /health/ready of the consumer, answered by threads of their own.

An event loop that does not move is the very thing to find out, so it must not be the one to say
so. Who asks badly, or slowly, harms nobody: threads are few, and a connection is cut off after some
seconds whatever it is doing.
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
"""Served at a time; more are closed at once."""
CONNECTION_SECONDS = 4.0
"""After this a connection is cut off."""
ANSWER_SECONDS = 2.0
"""How long the event loop may take to say whether it is ready; its parts have 1 s."""
LIVE_SECONDS = 5.0
"""Without a sign of the event loop for so long, the process does not live."""

_PULSE_SECONDS = 0.5
_POLL_SECONDS = 0.1


class ConsumerReadiness(Readiness, frozen=True):
    """As the API's, and whether batches move on: none has been at storing for a minute."""

    moving: bool


class _Liveness(Struct, frozen=True):
    state: str


@asynccontextmanager
async def serve_health(
    host: str, port: int, report: Callable[[], Awaitable[ConsumerReadiness]]
) -> AsyncIterator[int]:
    """Serve health during the block; gives the port.

    Args:
        host: name or address to listen on.
        port: port to listen on; 0 for any.
        report: asked in this event loop, for each GET /health/ready.

    Raises:
        OSError: it cannot listen there.
    """
    pulse = _Pulse(asyncio.get_running_loop(), report)
    server = _Server(host, port, pulse)
    beating = asyncio.create_task(pulse.beat())
    threading.Thread(
        target=server.serve_forever, args=(_POLL_SECONDS,), name="health", daemon=True
    ).start()
    try:
        yield int(server.server_address[1])
    finally:
        beating.cancel()
        await in_daemon_thread(server.shutdown)
        server.server_close()


class _Pulse:
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
            await asyncio.sleep(_PULSE_SECONDS)

    @property
    def is_live(self) -> bool:
        return time.monotonic() - self._last < LIVE_SECONDS

    def ask(self) -> ConsumerReadiness | None:
        """What it reports; None where it does not answer."""

        async def asked() -> ConsumerReadiness:
            return await self._report()

        answer = asyncio.run_coroutine_threadsafe(asked(), self._loop)
        try:
            return answer.result(ANSWER_SECONDS)
        except TimeoutError:
            answer.cancel()
            return None


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True  # connections of an earlier run that are still closing do not count

    def __init__(self, host: str, port: int, pulse: _Pulse) -> None:
        self.pulse = pulse
        self._deadlines: dict[Any, float] = {}
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, _, _, _, address = found[0]
        super().__init__(address, _Handler)  # type: ignore[arg-type]

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether to serve one more; in the thread of the server, as all that counts here."""
        del client_address
        if len(self._deadlines) >= CONNECTIONS:
            return False
        self._deadlines[request] = time.monotonic() + CONNECTION_SECONDS
        return True

    def service_actions(self) -> None:
        """Cut off what has taken too long; every tenth of a second."""
        now = time.monotonic()
        for request in [r for r, deadline in self._deadlines.copy().items() if deadline < now]:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self._deadlines.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked has gone, or asked nonsense: no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "orders"
    sys_version = ""
    timeout = CONNECTION_SECONDS

    def do_GET(self) -> None:
        if self.path == "/health/live":
            is_live = self.server.pulse.is_live
            self._answer(200 if is_live else 503, _Liveness("live" if is_live else "stuck"))
        elif self.path == "/health/ready":
            report = self.server.pulse.ask()
            is_ready = report is not None and report.state != "unavailable"
            self._answer(200 if is_ready else 503, report or _NO_ANSWER)
        else:
            self.send_error(404)

    do_HEAD = do_GET  # noqa: N815 (named so by the base class)

    def _not_found(self) -> None:
        self.send_error(404)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _not_found  # noqa: N815

    def _answer(self, status: int, content: Struct) -> None:
        body = msgspec.json.encode(content)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Probes come every few seconds: nothing to log."""


_NO_ANSWER = ConsumerReadiness("unavailable", {}, moving=False)
