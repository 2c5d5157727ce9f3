"""What the consumer says about its work: numbers only, and not for every batch aloud."""

import time
from collections import Counter
from collections.abc import Callable

import structlog

from orders.domain.use_cases.ingest_batch import IngestReport

SUMMARY_INTERVAL = 10.0
"""Seconds that lie between two lines at level info, at least."""

_log = structlog.get_logger(__name__)


class Progress:
    """Logs every batch at debug, and sums at info; ``clock`` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = float("-inf")
        self._sums: Counter[str] = Counter()

    def stored(self, report: IngestReport, seconds: float) -> None:
        """Note a batch that was stored, and how long that took."""
        numbers = {
            "messages": report.messages,
            "saved": report.saved,
            "unchanged": report.unchanged,
            **{f"dead_{code}": number for code, number in report.dead.items()},
        }
        _log.debug("batch stored", **numbers, ms=round(seconds * 1000, 1))
        self._sums.update(numbers)
        self._sums["batches"] += 1
        if self._clock() - self._last >= SUMMARY_INTERVAL:
            self.summarise()

    def summarise(self) -> None:
        """Log what was not summed up yet, if anything."""
        if self._sums:
            _log.info("stored", **self._sums)
        self._sums.clear()
        self._last = self._clock()
