"""SIGINT and SIGTERM as a flag: a command that must not be cut in two looks at it now and then.

The handlers are Python's own. Those of an event loop share a socket with
``call_soon_threadsafe``, and a signal that comes while other threads have filled it is lost.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from orders.entrypoints.startup import EXIT_FAILED

_LOOK_EVERY = 0.1
"""Seconds. A signal that comes just before the loop falls asleep is not handled before it wakes."""


class StopFlag:
    """Whether somebody has asked for the end."""

    def __init__(self) -> None:
        self.is_set = False

    def raise_it(self, _number: int, _frame: object) -> None:
        """Handle a signal: the first sets the flag, a second one ends the process as if killed."""
        if self.is_set:
            os._exit(EXIT_FAILED)
        self.is_set = True


@contextmanager
def stop_flag_signals(flag: StopFlag) -> Iterator[None]:
    """Have the signals set ``flag``, in place of what they did before; in the main thread only."""
    before = {n: signal.signal(n, flag.raise_it) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@asynccontextmanager
async def cancelled_by(flag: StopFlag, unless: Callable[[], bool]) -> AsyncIterator[None]:
    """Cancel the task that is in this block once the flag is set, where not ``unless``."""
    task = asyncio.current_task()

    async def watch() -> None:
        while not flag.is_set:  # noqa: ASYNC110 (an event could be set by no signal handler)
            await asyncio.sleep(_LOOK_EVERY)
        if task and not unless():
            task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()
