"""Runs the application on granian: a main process and its workers.

This adds to granian: a port that is in use is refused (granian would share it), workers end with
their main process, the exit code of a worker that failed becomes that of the main process, and
granian's log lines have the form of ours.
"""

import gc
import multiprocessing
import os
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer

from orders.entrypoints.http import worker_metrics
from orders.entrypoints.http.asgi_types import ASGIApp
from orders.entrypoints.http.parent_watchdog import end_with_parent
from orders.entrypoints.startup import EXIT_FAILED

GRACE_SECONDS = 8
"""How long requests in progress may take after SIGTERM or SIGINT; all processes end within 10 s."""

_OTHER_FILES = 256
"""Open files of a worker besides its connections."""

_BUFFER = 65_536
"""Bytes that a connection may hold of headers, or of a body that nobody reads yet. With granian's
400 KB, a thousand connections without a key would take more than the memory of a container."""

_PROPAGATE: dict[str, Any] = {"handlers": [], "propagate": True}
_LOGGING = {
    "formatters": {},
    "handlers": {},
    "loggers": {
        "_granian": dict(_PROPAGATE),
        # Repeats errors that the application has logged already.
        "_granian.utils": {"level": "CRITICAL"},
        "granian.access": dict(_PROPAGATE),
    },
}

log = structlog.get_logger("orders.http")


def serve(
    create: Callable[[], ASGIApp],
    host: str,
    port: int,
    workers: int = 1,
    grace: int = GRACE_SECONDS,
    *,
    idle_timeout: float = 60.0,
    max_connections: int = 4096,
    tls: tuple[Path, Path] | None = None,
) -> int:
    """Serve until SIGTERM, SIGINT or the end of a worker; returns the exit code of the process.

    It is 0 after a signal. Otherwise it is the exit code of the worker that ended (from a
    ``SystemExit`` in ``create``, in the lifespan or in a task), or 1 if that was killed or the
    address cannot be bound. A worker that ended is not restarted: that is up to the supervisor of
    the whole process.

    Args:
        create: creates the application in each worker; must be picklable.
        host: name or address to listen on.
        port: port to listen on.
        workers: number of worker processes.
        grace: seconds that requests in progress may take on shutdown.
        idle_timeout: seconds that a connection may take for the headers of its next request.
        max_connections: connections to each worker; others wait until one is closed.
        tls: files with the certificate and its key; None for no TLS.
    """
    try:
        address = _free_address(host, port)
    except OSError as error:
        log.critical("cannot listen", host=host, port=port, reason=error.strerror)
        return EXIT_FAILED
    certificate, key = tls or (None, None)
    _allow_files(max_connections + _OTHER_FILES)
    server = _Server(
        target="",
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=workers,
        workers_kill_timeout=grace,
        backpressure=max_connections,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(idle_timeout * 1000), max_buffer_size=_BUFFER
        ),
        ssl_cert=certificate,
        ssl_key=key,
        ssl_protocol_min=SSLProtocols.tls12,
        log_level=LogLevels.warning,
        log_dictconfig=_LOGGING,
    )
    server.on_startup(partial(log.info, "listening", host=host, port=port, workers=workers))
    with TemporaryDirectory(prefix="orders-") if workers > 1 else nullcontext() as folder:
        server.serve(target_loader=partial(_load, create, grace, folder), wrap_loader=False)
    return server.exit_code


class _Server(MPServer):
    """granian's main process, with an exit code that tells why it ended."""

    exit_code = 0

    def shutdown(self, exit_code: int = 0) -> None:
        """Stop the workers and keep the exit code; granian would call ``sys.exit``."""
        if not self.interrupt_signal:
            codes = [worker.inner.exitcode for worker in self.wrks]
            self.exit_code = exit_code or max([EXIT_FAILED, *filter(None, codes)])
            log.critical("a worker has ended by itself", exit_code=self.exit_code)
        self.interrupt_children.clear()
        super().shutdown()  # type: ignore[no-untyped-call]
        log.info("stopped")


def _allow_files(number: int) -> None:
    """Raise the soft limit of open files to ``number``, as far as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _load(create: Callable[[], ASGIApp], grace: float, folder: str | None) -> ASGIApp:
    """Create the application at the start of a worker; ``folder``: where all have their metrics."""
    # The handler inherited from the main process would ignore SIGTERM until granian sets the
    # worker's own; no request is in progress before that.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Ctrl-C in a terminal must not reach the worker besides the main process' signal: stopped
    # twice, a worker locks up and does not finish its requests.
    os.setpgid(0, 0)
    parent = multiprocessing.parent_process()
    assert parent is not None, "workers are child processes"
    end_with_parent(parent.pid or 0, grace)
    try:
        if folder is not None:
            worker_metrics.share(Path(folder))
        app = create()
    except Exception as error:
        log.critical("the application cannot be created", exc_info=error)
        raise SystemExit(EXIT_FAILED) from None
    # What has been loaded stays; without this, full collections stop the worker while they
    # traverse it.
    gc.collect()
    gc.freeze()
    return app


def _free_address(host: str, port: int) -> str:
    """Return the numeric address of ``host``.

    Raises:
        OSError: the port is in use, or this is not an address of the machine.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        # Connections of an earlier run may be in TIME_WAIT.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
    return str(address[0])
