"""Bounds the lines of a log that others can cause at will."""

import time
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

MAX_LINES = 100
"""Lines in each ``INTERVAL``."""
INTERVAL = 10.0
"""Seconds."""


class LogBudget:
    """At most ``MAX_LINES`` in each ``INTERVAL``.

    Where there would be more, ``log`` gets ``event`` once. ``clock`` is in seconds.
    """

    def __init__(
        self, log: FilteringBoundLogger, event: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._event = event
        self._clock = clock
        self._until = float("-inf")
        self._lines = 0

    def take(self) -> bool:
        """Count a line; returns whether to log it."""
        now = self._clock()
        if now >= self._until:
            self._until, self._lines = now + INTERVAL, 0
        self._lines += 1
        if self._lines == MAX_LINES + 1:
            seconds = round(self._until - now, 1)
            self._log.warning(self._event, seconds=seconds)
        return self._lines <= MAX_LINES
