"""Logs the numbers of stored batches: each at debug, sums at info."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import structlog

from orders.domain.use_cases.ingest_batch import IngestReport

SUMMARY_INTERVAL = 10.0
"""Seconds between two lines at info, while batches are stored."""

_log = structlog.get_logger(__name__)


class IngestSummary:
    """Logs every batch at debug, and sums at info; ``clock`` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = float("-inf")
        self._sums: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, report: IngestReport, seconds: float) -> None:
        """Count a batch that was stored in ``seconds``."""
        numbers = {
            "messages": report.messages,
            "saved": report.saved,
            "unchanged": report.unchanged,
            **({"forgotten": report.forgotten} if report.forgotten else {}),
            **{f"dead_{code}": number for code, number in report.dead.items()},
        }
        _log.debug("batch stored", **numbers, ms=round(seconds * 1000, 1))
        self._sums.update(numbers)
        self._sums["batches"] += 1
        rest = self._last + SUMMARY_INTERVAL - self._clock()
        if rest <= 0:
            self.flush()
        elif self._timer is None:  # another batch may never come
            self._timer = asyncio.get_running_loop().call_later(rest, self.flush)

    def flush(self) -> None:
        """Log the sums since the last time, if any."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._sums:
            _log.info("stored", **self._sums)
        self._sums.clear()
        self._last = self._clock()
