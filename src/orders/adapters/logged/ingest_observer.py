"""Logs the events of the ingest pipeline and feeds the health of storing."""

import time

import structlog

from orders.adapters.logged.ingest_summary import IngestSummary
from orders.adapters.logged.store_health import BatchHealth, StoreHealth
from orders.domain.intake.observer import IngestObserver, StoreObserver
from orders.domain.use_cases.ingest_batch import IngestReport

_log = structlog.get_logger(__name__)


class LoggedIngest(IngestObserver):
    """An ``IngestObserver`` that logs, and feeds ``health``."""

    def __init__(self, health: StoreHealth) -> None:
        self._health = health
        self._summary = IngestSummary()

    def store_started(self) -> StoreObserver:
        """See ``IngestObserver.store_started``."""
        return _LoggedStore(self._health.begin(), self._summary)

    def batch_abandoned(self, reason: str) -> None:
        """See ``IngestObserver.batch_abandoned``."""
        _log.warning("batch in progress is left to the next start", reason=reason)

    def commit_unconfirmed(self, reason: str) -> None:
        """See ``IngestObserver.commit_unconfirmed``."""
        _log.warning("commit not confirmed", reason=reason)

    def stopped(self) -> None:
        """See ``IngestObserver.stopped``."""
        self._summary.flush()


class _LoggedStore(StoreObserver):
    def __init__(self, health: BatchHealth, summary: IngestSummary) -> None:
        self._health = health
        self._summary = summary
        self._started = time.monotonic()

    def failed(self, reason: str) -> None:
        if self._health.fail(reason):
            _log.warning("cannot store, waiting", reason=reason)

    def stored(self, report: IngestReport) -> None:
        waited = self._health.succeed()
        if waited is not None:
            _log.info("can store again", waited_s=round(waited, 1))
        self._summary.add(report, time.monotonic() - self._started)
