"""SIGTERM and SIGINT: the first asks for the end, and sees to it; a second one ends at once.

None of it depends on the event loop, which may be held up: signals are read by a thread of their
own, and a timer ends the process where its good order takes too long. Nothing is lost by that: what
is not committed comes again.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from orders.entrypoints.startup import EXIT_FAILED

DEADLINE = 9.0
"""Seconds from the first signal to the end of the process, whatever is still going on."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LAST_WORDS_SECONDS = 0.5

_log = structlog.get_logger(__name__)


@contextmanager
def stop_signals(on_stop: Callable[[], object], deadline: float = DEADLINE) -> Iterator[None]:
    """Call ``on_stop`` at the first signal, from another thread; to be entered in the main thread.

    ``on_stop`` neither waits nor raises.

    The process ends with 0 not later than ``deadline`` seconds after that, and with 1 at once when
    a second signal comes. Once there was a signal this holds beyond the block, to the very end of
    the process: threads that the interpreter waits for must not hold it up either.
    """
    arrived, written = socket.socketpair()
    written.settimeout(0)  # Python's signal handler must never wait
    is_stopping = threading.Event()
    # Python's own handlers wait for the main thread to be between two steps. The wakeup descriptor
    # is written to when the signal comes, in whichever thread.
    before = {number: signal.signal(number, _no_operation) for number in _SIGNALS}
    wakeup_before = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        with arrived, written:  # open as long as signals may come
            while received := arrived.recv(1):
                if received[0] not in _SIGNALS:
                    continue
                if is_stopping.is_set():
                    _end("ended at once by a second signal", EXIT_FAILED)
                is_stopping.set()
                timer = threading.Timer(deadline, _end, ("not done in time, ended all the same", 0))
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
    """Take the place of the handler that would end the process or raise KeyboardInterrupt."""


def _end(event: str, code: int) -> None:
    # A thread of its own: whoever reads our log may have stopped, and then writing never ends.
    last_words = threading.Thread(target=_log.warning, args=(event,), daemon=True)
    last_words.start()
    last_words.join(_LAST_WORDS_SECONDS)
    os._exit(code)
