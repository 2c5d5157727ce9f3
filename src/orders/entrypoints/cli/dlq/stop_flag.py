"""SIGINT and SIGTERM as a flag, for a command that stops between two steps.

This uses ``signal.signal``: the handlers of an event loop share a socket with
``call_soon_threadsafe``, and a signal is lost if other threads have filled it.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from orders.entrypoints.startup import EXIT_FAILED

_POLL_SECONDS = 0.1
"""A signal just before the loop waits is not handled until it wakes up."""


class StopFlag:
    """Whether a stop was requested."""

    def __init__(self) -> None:
        self.is_set = False

    def handle(self, _number: int, _frame: object) -> None:
        """Handle a signal: the first sets the flag, a second one ends the process at once."""
        if self.is_set:
            os._exit(EXIT_FAILED)
        self.is_set = True


@contextmanager
def stop_flag_signals(flag: StopFlag) -> Iterator[None]:
    """Make the signals set ``flag`` during the block; only for the main thread."""
    before = {n: signal.signal(n, flag.handle) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@asynccontextmanager
async def cancelled_by(flag: StopFlag, unless: Callable[[], bool]) -> AsyncIterator[None]:
    """Cancel the current task when the flag is set, except if ``unless`` returns true."""
    task = asyncio.current_task()

    async def watch() -> None:
        while not flag.is_set:  # noqa: ASYNC110 (a signal handler cannot set an event)
            await asyncio.sleep(_POLL_SECONDS)
        if task and not unless():
            task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()
