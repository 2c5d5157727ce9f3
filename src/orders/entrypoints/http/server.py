"""Runs the application on uvicorn, in this process or in several workers.

This adds to uvicorn: bounds of connections, an exit code that tells why the process has ended, and
workers that end with their main process.
"""

import asyncio
import gc
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait
from operator import attrgetter, itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, cast

import structlog
import uvicorn
import uvloop
from uvicorn.lifespan.on import LifespanOn

from orders.entrypoints.http import worker_metrics
from orders.entrypoints.http.asgi_types import ASGIApp
from orders.entrypoints.http.connection import Bounds, Connection, Totals
from orders.entrypoints.http.parent_watchdog import end_with_parent
from orders.entrypoints.http.request_turns import RequestTurns
from orders.entrypoints.http.tls_handshakes import (
    MOST_HANDSHAKES,
    TlsConnection,
    TlsHandshakes,
    most_handshakes,
)
from orders.entrypoints.startup import EXIT_FAILED
from orders.usable_memory import usable_memory

GRACE_SECONDS = 8
"""How long requests in progress may take after SIGTERM or SIGINT; all processes end within 10 s."""
READER_TIMEOUT = 60.0
"""Seconds after which a client that takes nothing of a response is disconnected."""

_CLOSING_SECONDS = 1.5
"""How long a process may take to close what it has opened, after its last request."""
_WORKER_DELAY = 0.2
"""Seconds by which a worker may end itself later than it should, before it is killed."""
_OTHER_FILES = 256
"""Open files of a process besides its connections."""
_MEMORY_SHARE = 2
"""Connections may take one in so many parts of the usable memory."""
_CLIENT_SHARE = 12
"""What waits for clients may take one in so many parts of it, and requests as much."""
MOST_CLIENT_BYTES = 64 * 2**20
"""The most of either in a worker, however much memory there is."""
_KERNEL_BYTES = 150_000
"""Memory that a connection may take in the kernel, which counts in a container."""
_TLS_BYTES = 400_000
"""Memory that a connection or handshake of TLS may take besides."""
ACCEPTED_AT_ONCE = 16
"""Connections that a worker accepts in one turn of the event loop. uvloop accepts one for each
listening socket, too few where some thousands wait and requests take tens of milliseconds."""
_UNSENT_BYTES = 16_384
"""Bytes that the kernel takes for a connection beyond those that the client has room for. Else it
takes megabytes from a process of which the client reads nothing, and no bound counts them."""
_UNREAD_BYTES = 65_536
"""Bytes of a connection that the kernel keeps until they are read, with as much for its own use.
Else it keeps megabytes of a client that has sent much, and then does not take its responses."""
_STOP = signal.SIGTERM, signal.SIGINT
_TICKS_PER_SECOND = 10

log = structlog.get_logger("orders.http")


def serve(
    create: Callable[[], ASGIApp],
    host: str,
    port: int,
    workers: int = 1,
    grace: int = GRACE_SECONDS,
    *,
    idle_timeout: float = 60.0,
    reader_timeout: float = READER_TIMEOUT,
    max_connections: int = 4096,
    tls: tuple[Path, Path] | None = None,
    health: tuple[str, int] | None = None,
) -> int:
    """Serve until SIGTERM, SIGINT or the end of a worker; returns the exit code of the process.

    It is 0 after a signal. Otherwise it is the code of a ``SystemExit`` in ``create``, in the
    lifespan or in a task, or 1 if the address cannot be bound or a worker was killed. A worker that
    has ended is not restarted: that is up to the supervisor of the whole process.

    Args:
        create: creates the application in each process.
        host: name or address to listen on.
        port: port to listen on.
        workers: number of processes that serve; one is this process itself.
        grace: seconds that requests in progress may take on shutdown.
        idle_timeout: seconds that a connection may take for the headers of its next request.
        reader_timeout: seconds that a client may take nothing of a response.
        max_connections: connections to each process; others are refused.
        tls: files with the certificate and its key; None for no TLS.
        health: host and port that the application listens on for health checks; None for none.
    """
    for number in _STOP:  # until the server is there; nothing has to be closed until then
        signal.signal(number, lambda *_: os._exit(0))
    max_connections = _allow_connections(max_connections, workers, has_tls=tls is not None)
    most = _most_client_bytes(workers)
    bounds = Bounds(idle_timeout, reader_timeout, max_connections, most, most)
    run = partial(_run, create, partial(_Server, bounds=bounds, grace=grace, tls=tls))
    listener = _bind_or_log(host, port)
    if listener is None:
        return EXIT_FAILED
    if workers == 1:
        code = run(listener)
    else:
        listener.close()  # the workers could not share the port with it
        if health:
            # The workers share this one too, and would do so with those of another API.
            probe = _bind_or_log(*health)
            if probe is None:
                return EXIT_FAILED
            probe.close()
        code = _run_workers(run, partial(_bind, host, port, is_shared=True), workers, grace)
    log.info("stopped")
    return code


def _run(
    create: Callable[[], ASGIApp], server: "Callable[[ASGIApp], _Server]", listener: socket.socket
) -> int:
    """Serve in this process; returns its exit code."""
    try:
        app = create()
    except Exception as error:
        log.critical("the application cannot be created", exc_info=error)
        return EXIT_FAILED
    # What has been loaded stays; without this, full collections stop the process while they
    # traverse it.
    gc.collect()
    gc.freeze()
    code = 0
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    runner.get_loop().set_exception_handler(_log_error_of_task)
    try:
        runner.run(server(app).serve([listener]))
    except SystemExit as end:
        code = cast("int", end.code)
    # Its tasks are cancelled now, but psycopg's pool takes that for the failure of a connection
    # (CLIENT_EXCEPTIONS), and goes on if it was just making one.
    _exit_after(_CLOSING_SECONDS, code)
    runner.close()
    return code


def _log_error_of_task(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what no one awaits, except a ``SystemExit``: that ends the process, with a reason."""
    if not isinstance(context.get("exception"), SystemExit):
        loop.default_exception_handler(context)


class _Server(uvicorn.Server):
    """uvicorn's server with our connections, signals and exit codes."""

    def __init__(
        self, app: ASGIApp, *, bounds: Bounds, grace: int, tls: tuple[Path, Path] | None
    ) -> None:
        certificate, key = tls or (None, None)
        self._bounds = bounds
        self._totals = Totals()
        turns = RequestTurns()
        connection = partial(Connection, bounds=bounds, totals=self._totals, turns=turns)
        config = uvicorn.Config(
            app,
            http=connection,  # type: ignore[arg-type]
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # see TrustedProxies
            server_header=False,
            timeout_graceful_shutdown=grace,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        config.load()
        config.lifespan_class = _Lifespan
        super().__init__(config)
        self._handshakes: TlsHandshakes | None = None
        if config.ssl:
            self._handshakes = TlsHandshakes(
                config.ssl,
                bounds.idle_timeout,
                self.server_state.connections,
                bounds.max_connections,
            )
            config.http_protocol_class = partial(  # type: ignore[assignment]
                TlsConnection, self._handshakes, turns, connection
            )
            config.ssl = None  # else asyncio would
        self._grace = grace

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the application and listen."""
        listeners = sockets or ()
        await super().startup([one.dup() for one in listeners for _ in range(ACCEPTED_AT_ONCE)])
        for listener in listeners:
            host, port = listener.getsockname()[:2]
            log.info("listening", host=host, port=port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; streams without an end are stopped by ``state`` in their scope."""
        self.lifespan.state["stopping"].set()
        if self._handshakes:
            self._handshakes.end_oldest(0)
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Check the connections; returns whether to stop."""
        if counter % _TICKS_PER_SECOND == 0:
            self._check_connections()
        if self._totals.held > self._bounds.most_held:
            self._abort_worst()
        if self._totals.request_bytes > self._bounds.most_request_bytes:
            self._abort_slowest()
        return await super().on_tick(counter)

    async def _wait_tasks_to_complete(self) -> None:
        """Wait for the requests in progress; uvicorn would answer 500 to those that are late."""
        try:
            await super()._wait_tasks_to_complete()
        except asyncio.CancelledError:
            for connection in self.server_state.connections:
                connection.transport.abort()
            raise

    def _check_connections(self) -> None:
        totals = self._totals
        for connection in self._connections():
            connection.check()
        if totals.aborted:
            reason = "their clients have stopped reading or sending, or are slow"
            log.info("connections aborted", number=totals.aborted, reason=reason)
        if totals.refused:
            reason = "there are too many"
            log.warning("connections refused", number=totals.refused, reason=reason)
        totals.aborted = totals.refused = 0

    def _abort_worst(self) -> None:
        """Disconnect the clients for which others would have to wait; see ``Bounds``."""
        holding = [connection for connection in self._connections() if connection.held]
        for connection in holding:
            connection.measure()
        for connection in sorted(holding, key=attrgetter("blame"), reverse=True):
            if self._totals.held <= self._bounds.most_held:
                break
            connection.give_up()

    def _abort_slowest(self) -> None:
        """Disconnect clients with slow bodies or large requests; see ``Bounds``."""

        def badness(connection: Connection) -> tuple[float, bool, float, int]:
            late, is_complete = connection.seconds_late, not connection.cycle.more_body
            return max(0.0, late), is_complete, late, connection.request_bytes

        served = [connection for connection in self._connections() if connection.request_bytes]
        for connection in sorted(served, key=badness, reverse=True):
            if self._totals.request_bytes <= self._bounds.most_request_bytes:
                break
            connection.give_up()

    def _connections(self) -> "list[Connection]":
        return cast("list[Connection]", list(self.server_state.connections))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal; uvicorn would raise it again in the end, for an exit code of 143."""
        for number in _STOP:
            signal.signal(number, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a process that cannot, since a request holds it up, is ended by force."""
        del sig, frame
        if not self.should_exit:
            self.should_exit = True
            _exit_after(self._grace + _CLOSING_SECONDS, 0)


class _Lifespan(LifespanOn):
    """The lifespan of the application, which may end the process with an exit code of its own."""

    _exit: SystemExit | None = None

    async def startup(self) -> None:
        """Open the application; raises the ``SystemExit`` with which it gives up."""
        await super().startup()
        if self._exit:
            raise self._exit

    async def main(self) -> None:
        """Run it; uvicorn would exit with 3 whatever the reason."""
        self.state["stopping"] = asyncio.Event()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state}
        try:
            await cast("ASGIApp", self.config.loaded_app)(scope, self.receive, self.send)
        except SystemExit as end:
            if self.startup_event.is_set():
                raise
            self._exit = end  # for startup, so that the server does not listen first
        finally:
            self.startup_event.set()
            self.shutdown_event.set()


def _run_workers(
    run: Callable[[socket.socket], int], bind: Callable[[], socket.socket], number: int, grace: int
) -> int:
    """Serve in child processes until a signal or until one of them ends; returns an exit code."""
    with TemporaryDirectory(prefix="orders-") as folder:
        arguments = run, bind, Path(folder), os.getpid(), grace
        context = multiprocessing.get_context("fork")
        workers = [context.Process(target=_work, args=arguments) for _ in range(number)]
        is_asked = False

        def stop(*_: object) -> None:
            nonlocal is_asked
            is_asked = True
            ask.close()  # ends the wait below, also if no worker ends
            for worker in workers:
                worker.terminate()

        # A signal that comes now waits until there are workers to pass it on to: an exit would wait
        # for those that have started, and they would not know.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
        for worker in workers:
            worker.start()
        asked, ask = context.Pipe(duplex=False)  # not before: the workers would hold it open
        for signal_number in _STOP:
            signal.signal(signal_number, stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
        ended = wait([asked, *(worker.sentinel for worker in workers)])
        failure = 0
        if not is_asked:
            for worker in workers:
                if worker.sentinel in ended:
                    worker.join()
                    failure = max(failure, EXIT_FAILED, worker.exitcode or 0)
            log.critical("a worker has ended by itself", exit_code=failure)
            stop()
        # One deadline for all: those that are frozen must not add up.
        killed_at = time.monotonic() + grace + _CLOSING_SECONDS + _WORKER_DELAY
        for worker in workers:
            worker.join(max(0, killed_at - time.monotonic()))
            worker.kill()
        return failure


def _work(
    run: Callable[[socket.socket], int],
    bind: Callable[[], socket.socket],
    folder: Path,
    parent: int,
    grace: int,
) -> None:
    """Be a worker; ``folder``: where all of them give their metrics."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)  # blocked when it was forked
    end_with_parent(parent, grace)
    worker_metrics.share(folder)
    sys.exit(run(bind()))


def _exit_after(seconds: float, code: int) -> None:
    """End the process by then, if it has not ended by itself."""
    limit = threading.Timer(seconds, os._exit, (code,))
    limit.daemon = True
    limit.start()


def _allow_connections(wanted: int, workers: int, *, has_tls: bool) -> int:
    """Raise the soft limit of open files for ``wanted`` connections; returns how many are allowed.

    They are fewer where there are not enough files, since health checks, metrics and servers need
    some too, or not enough memory for clients that take all they can.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    each = _KERNEL_BYTES + (_TLS_BYTES if has_tls else 0)
    rooms = {
        "the hard limit of open files (ulimit -Hn) is low": most - _OTHER_FILES,
        "there is too little memory": usable_memory() // _MEMORY_SHARE // workers // each,
    }
    reason, room = min(rooms.items(), key=itemgetter(1))
    if has_tls:
        room = max(room // 2, room - MOST_HANDSHAKES)
    allowed = max(1, min(wanted, room))
    files = allowed + (most_handshakes(allowed) if has_tls else 0) + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, most), hard))
    if allowed < wanted:
        log.warning("fewer connections are allowed", number=allowed, reason=reason)
    return allowed


def _most_client_bytes(workers: int) -> int:
    """Return ``Bounds.most_held`` and ``Bounds.most_request_bytes`` of each worker."""
    return min(MOST_CLIENT_BYTES, usable_memory() // _CLIENT_SHARE // workers)


def _bind_or_log(host: str, port: int) -> socket.socket | None:
    try:
        return _bind(host, port)
    except OSError as error:
        log.critical("cannot listen", host=host, port=port, reason=error.strerror)
        return None


def _bind(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """Return a socket with this address, which other sockets may share if they say so as well.

    Raises:
        OSError: the port is in use, or this is not an address of the machine.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    # Connections of an earlier run may be in TIME_WAIT.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BYTES)
    if is_shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
