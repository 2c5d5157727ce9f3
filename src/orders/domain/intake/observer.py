"""What the ingest pipeline reports about its work."""

from abc import abstractmethod
from typing import Protocol

from orders.domain.use_cases.ingest_batch import IngestReport


class StoreObserver(Protocol):
    """Follows one batch through all attempts to store it."""

    @abstractmethod
    def failed(self, reason: str) -> None:
        """Note an attempt that failed; another follows. ``reason`` holds no value or secret."""

    @abstractmethod
    def stored(self, report: IngestReport) -> None:
        """Note that the batch is stored."""


class IngestObserver(Protocol):
    """Receives the events of the pipeline; its methods must not block or raise."""

    @abstractmethod
    def store_started(self) -> StoreObserver:
        """Follow a batch that is about to be stored. Several may be stored at once."""

    @abstractmethod
    def batch_abandoned(self, reason: str) -> None:
        """Note that the pipeline stops with a batch that is not committed."""

    @abstractmethod
    def commit_unconfirmed(self, reason: str) -> None:
        """Note that a batch is stored, and its commit may not have arrived."""

    @abstractmethod
    def stopped(self) -> None:
        """Note that no more batches are stored."""
