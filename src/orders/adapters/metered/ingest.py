"""Counts what becomes of the messages of the topic, and measures the phases of a batch."""

import time
from collections import deque
from collections.abc import Collection, Sequence
from typing import get_args

from orders import metrics
from orders.domain.intake.messages import Batch, DeadLetter, ErrorCode, Message
from orders.domain.intake.observer import IngestObserver, StoreObserver
from orders.domain.order.model import Order
from orders.domain.order.queries import Cursor, FoundDocuments, OrderQuery, Page
from orders.domain.ports import DeadLetters, MessageSource, OrderRepository, SaveReport
from orders.domain.use_cases.ingest_batch import IngestBatch, IngestReport, ParsedBatch


class MeteredIngest(IngestObserver):
    """An ``IngestObserver`` that counts, and passes everything on to ``observer``."""

    def __init__(self, observer: IngestObserver) -> None:
        self._observer = observer
        for outcome in ("stored", "unchanged", "forgotten", *get_args(ErrorCode)):
            metrics.INGESTED.labels(outcome)  # at 0, else Prometheus does not see the first one

    def store_started(self) -> StoreObserver:
        """See ``IngestObserver.store_started``."""
        return _MeteredStore(self._observer.store_started())

    def batch_abandoned(self, reason: str) -> None:
        """See ``IngestObserver.batch_abandoned``."""
        self._observer.batch_abandoned(reason)

    def commit_unconfirmed(self, reason: str) -> None:
        """See ``IngestObserver.commit_unconfirmed``."""
        metrics.UNCONFIRMED.inc()
        self._observer.commit_unconfirmed(reason)

    def stopped(self) -> None:
        """See ``IngestObserver.stopped``."""
        self._observer.stopped()


class _MeteredStore(StoreObserver):
    def __init__(self, observer: StoreObserver) -> None:
        self._observer = observer
        self._begun = time.perf_counter()

    def failed(self, reason: str) -> None:
        metrics.STORE_FAILURES.inc()
        self._observer.failed(reason)

    def stored(self, report: IngestReport) -> None:
        metrics.INGESTED.labels("stored").inc(report.saved)
        metrics.INGESTED.labels("unchanged").inc(report.unchanged)
        metrics.INGESTED.labels("forgotten").inc(report.forgotten)
        for code, number in report.dead.items():
            metrics.INGESTED.labels(code).inc(number)
        metrics.MESSAGES.inc(report.messages)
        orders = report.saved + report.unchanged + report.forgotten + sum(report.dead.values())
        metrics.BATCH_ORDERS.observe(orders)
        metrics.PHASES.labels("store").observe(time.perf_counter() - self._begun)
        self._observer.stored(report)


class MeteredBatches(IngestBatch):
    """Measures how long messages are read and checked."""

    def prepare(self, messages: Sequence[Message]) -> ParsedBatch:
        """See ``IngestBatch.prepare``."""
        with metrics.PHASES.labels("read").time():
            return super().prepare(messages)


class MeteredRepository(OrderRepository):
    """Measures how long saving takes; passes everything on to ``repository``."""

    def __init__(self, repository: OrderRepository) -> None:
        self._repository = repository

    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        """See ``OrderRepository.save_many``."""
        with metrics.PHASES.labels("save").time():
            return await self._repository.save_many(orders)

    async def are_stored(self, orders: Sequence[Order]) -> list[bool | None]:
        """See ``OrderRepository.are_stored``; it is a part of saving."""
        with metrics.PHASES.labels("save").time():
            return await self._repository.are_stored(orders)

    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        """See ``OrderRepository.get``."""
        return await self._repository.get(order_uids)

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        """See ``OrderRepository.page``."""
        return await self._repository.page(query, limit, after)


class MeteredDeadLetters(DeadLetters):
    """Measures how long dead letters take; passes them on to ``dead_letters``."""

    def __init__(self, dead_letters: DeadLetters) -> None:
        self._dead_letters = dead_letters

    async def put(self, dead_letters: Sequence[DeadLetter]) -> None:
        """See ``DeadLetters.put``."""
        with metrics.PHASES.labels("dead_letters").time():
            await self._dead_letters.put(dead_letters)


class MeteredSource(MessageSource):
    """Measures commits, and how old the messages are that are not stored.

    ``source``: the messages come from it.
    """

    def __init__(self, source: MessageSource) -> None:
        self._source = source
        self._not_stored: deque[tuple[Batch, int]] = deque()
        metrics.OLDEST.set_function(self._age)

    async def receive(self) -> Batch:
        """See ``MessageSource.receive``."""
        batch = await self._source.receive()
        self._not_stored.append((batch, min(message.timestamp for message in batch.messages)))
        return batch

    async def commit(self, batch: Batch) -> None:
        """See ``MessageSource.commit``: this batch and those before it are stored."""
        while self._not_stored and self._not_stored.popleft()[0] is not batch:
            pass
        with metrics.PHASES.labels("commit").time():
            await self._source.commit(batch)

    def _age(self) -> float:
        """Seconds since the oldest message that is not stored was sent; called by any thread."""
        oldest = min((timestamp for _, timestamp in self._not_stored.copy()), default=None)
        return 0.0 if oldest is None else max(0.0, time.time() - oldest / 1000)
