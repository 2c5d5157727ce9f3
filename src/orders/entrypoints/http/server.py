"""Runs the application on granian: one main process, and workers that serve.

What granian does not do by itself and this adds: a second server on a taken port is refused
(granian would share the port with it), workers end with their main process, the exit code of a
worker that gave up becomes that of the whole, and log lines go the way of ours.
"""

import gc
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import MPServer

from orders.entrypoints.http.asgi_types import ASGIApp
from orders.entrypoints.http.parent_watchdog import end_with_parent
from orders.entrypoints.startup import EXIT_FAILED

GRACE_SECONDS = 8
"""How long requests in hand may take after SIGTERM or SIGINT before they are cut off; all has ended
within 10 s then."""

_PROPAGATE: dict[str, Any] = {"handlers": [], "propagate": True}
_LOGGING = {
    "formatters": {},
    "handlers": {},
    "loggers": {
        "_granian": dict(_PROPAGATE),
        # Tells again, as one text, of errors that the application has told of.
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
) -> int:
    """Serve until SIGTERM, SIGINT or the end of a worker; returns the exit code of the process.

    0: stopped as asked. Otherwise the code with which a worker ended by itself (``SystemExit`` in
    ``create``, in the lifespan or in a task passes through), 1 where it was killed or the
    address cannot be listened on. A worker that ended is not started again: who watches over
    the process starts all of it anew.

    Args:
        create: makes the application, in each worker; can be pickled.
        host: name or address to listen on.
        port: port to listen on.
        workers: number of serving processes.
        grace: seconds that requests in hand may take in the end.
    """
    try:
        address = _free_address(host, port)
    except OSError as error:
        log.critical("cannot listen", host=host, port=port, reason=error.strerror)
        return EXIT_FAILED
    server = _Server(
        target="",
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=workers,
        workers_kill_timeout=grace,
        log_level=LogLevels.warning,
        log_dictconfig=_LOGGING,
    )
    server.on_startup(partial(log.info, "listening", host=host, port=port, workers=workers))
    server.serve(target_loader=partial(_load, create, grace), wrap_loader=False)
    return server.exit_code


class _Server(MPServer):
    """granian's main process, with an exit code that says why it ended."""

    exit_code = 0

    def shutdown(self, exit_code: int = 0) -> None:
        """Stop the workers and note the exit code, where granian would exit with it or with 1."""
        if not self.interrupt_signal:
            codes = [worker.inner.exitcode for worker in self.wrks]
            self.exit_code = exit_code or max([EXIT_FAILED, *filter(None, codes)])
            log.critical("a worker has ended by itself", exit_code=self.exit_code)
        self.interrupt_children.clear()
        super().shutdown()  # type: ignore[no-untyped-call]
        log.info("stopped")


def _load(create: Callable[[], ASGIApp], grace: float) -> ASGIApp:
    """The first thing that a worker does."""
    # The main process' handler came along and would swallow the wish to stop, until granian sets
    # a worker's; nothing is in hand before that.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Out of reach of the terminal's Ctrl-C: a worker that is told to stop twice locks up and
    # answers none of the requests that it has in hand.
    os.setpgid(0, 0)
    parent = multiprocessing.parent_process()
    assert parent is not None, "workers are child processes"
    end_with_parent(parent.pid or 0, grace)
    try:
        app = create()
    except Exception as error:
        log.critical("the application cannot be made", exc_info=error)
        raise SystemExit(EXIT_FAILED) from None
    # What is there by now stays for good. Going through it in search of garbage stopped everything
    # for 0.3 s every 5,000 look-ups, a third of all the time that they took.
    gc.collect()
    gc.freeze()
    return app


def _free_address(host: str, port: int) -> str:
    """The numeric address of ``host``, once nobody else listens there.

    Raises:
        OSError: somebody does, or it is no address of this machine.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        # Connections of an earlier run that are still closing are no reason to refuse.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
    return str(address[0])
