"""What the consumer says about its work: numbers only, and not for every batch aloud."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import structlog

from orders.domain.use_cases.ingest_batch import IngestReport

SUMMARY_INTERVAL = 10.0
"""Seconds that lie between two lines at level info, at least; and at most, where there was work."""

_log = structlog.get_logger(__name__)


class Progress:
    """Logs every batch at debug, and sums at info; ``clock`` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = float("-inf")
        self._sums: Counter[str] = Counter()
        self._later: asyncio.TimerHandle | None = None

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
        rest = self._last + SUMMARY_INTERVAL - self._clock()
        if rest <= 0:
            self.summarise()
        elif self._later is None:  # nothing may come after it, so it is not left to the next batch
            self._later = asyncio.get_running_loop().call_later(rest, self.summarise)

    @property
    def is_summed_up(self) -> bool:
        """Whether all that was stored has been logged at info."""
        return not self._sums

    def summarise(self) -> None:
        """Log what was not summed up yet, if anything."""
        if self._later:
            self._later.cancel()
            self._later = None
        if self._sums:
            _log.info("stored", **self._sums)
        self._sums.clear()
        self._last = self._clock()
