"""SIGTERM and SIGINT: the first signal requests a shutdown, a second one ends the process at once.

This does not depend on the event loop, which may be blocked: a thread reads the signals, and a
timer ends the process if the shutdown takes too long. Nothing is lost: what has not been committed
is read again.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import structlog

from orders.entrypoints.startup import EXIT_FAILED

DEADLINE = 9.0
"""Seconds from the first signal to the end of the process at the latest."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LOG_TIMEOUT = 0.5

_log = structlog.get_logger(__name__)


@contextmanager
def stop_signals(on_stop: Callable[[], object], deadline: float = DEADLINE) -> Iterator[None]:
    """Call ``on_stop`` at the first signal, from another thread; enter it in the main thread.

    ``on_stop`` must not block or raise.

    The process ends with 0 at most ``deadline`` seconds after the first signal, and with 1 at once
    on a second one. After a signal this applies beyond the block, until the process has ended, so
    that threads which the interpreter joins cannot delay it.
    """
    arrived, written = socket.socketpair()
    written.settimeout(0)  # Python's signal handler must not block
    is_stopping = threading.Event()
    # Python runs its handlers in the main thread between two bytecodes; the wakeup descriptor is
    # written to as soon as the signal arrives, in any thread.
    before = {number: signal.signal(number, _no_operation) for number in _SIGNALS}
    wakeup_before = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        end: Callable[[str, int], None] | None = None
        with arrived, written:  # open as long as signals may arrive
            while received := arrived.recv(1):
                if received[0] not in _SIGNALS:
                    continue
                if end is not None:
                    end("ended at once by a second signal", EXIT_FAILED)
                is_stopping.set()
                end = _prepare_end()
                timer = threading.Timer(deadline, end, ("shutdown took too long, ended", 0))
                timer.daemon = True
                timer.start()
                on_stop()

    threading.Thread(target=watch, name="stop-signals", daemon=True).start()
    try:
        yield
    finally:
        if not is_stopping.is_set():
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            written.shutdown(socket.SHUT_RDWR)  # ends the thread


def _no_operation(_number: int, _frame: object) -> None:
    """Replace the handler that would end the process or raise KeyboardInterrupt."""


def _prepare_end() -> Callable[[str, int], None]:
    """Return a function that logs an event and ends the process with a code.

    It writes in a thread: if the reader of the log has stopped, writing blocks. The thread waits
    from now on, for Python 3.12 starts none once the main thread has ended.
    """
    events: SimpleQueue[str] = SimpleQueue()
    is_written = threading.Event()

    def write() -> None:
        _log.warning(events.get())
        is_written.set()

    def end(event: str, code: int) -> None:
        events.put(event)
        is_written.wait(_LOG_TIMEOUT)
        os._exit(code)

    threading.Thread(target=write, name="last-words", daemon=True).start()
    return end
