"""The pipeline from the topic to the database.

While batches are stored, the next one is received and parsed, and the previous one is committed.
Two are stored at a time, so that one is encoded and sent while PostgreSQL checks the other. Batches
are committed in the order of the topic, each when it and all before it are stored.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from orders.domain.errors import OrdersError, Unavailable, UnsuitableDatabase
from orders.domain.intake.messages import Batch
from orders.domain.intake.observer import IngestObserver
from orders.domain.intake.prefetcher import PendingBatch, Prefetcher, RunInThread
from orders.domain.ports import MessageSource
from orders.domain.use_cases.ingest_batch import IngestBatch, ParsedBatch

STOP_TIMEOUT = 4.0
"""Seconds after the stop in which batches in flight may be stored and committed: several times what
the largest takes, and short enough for an exit within 10 s of the signal."""
RETRY_FIRST_WAIT = 0.1
"""The longest wait in seconds before the first retry of a store; it doubles with each retry."""
RETRY_MAX_WAIT = 5.0
"""The longest wait in seconds before any retry."""
CONCURRENT_STORES = 2
"""The number of batches that are stored at a time, each in its own transaction."""
_FIRST = asyncio.FIRST_COMPLETED


class _InFlight(NamedTuple):
    """A batch that is being stored; the task's result is False if the stop came first."""

    pending: PendingBatch
    store: "asyncio.Task[bool]"


async def _run_inline(parse: Callable[[], ParsedBatch]) -> ParsedBatch:
    return parse()


class IngestPipeline:
    """Moves batches from ``source`` through ``ingest`` and commits them.

    Args:
        source: provides batches and accepts their commits.
        ingest: parses and stores one batch.
        observer: receives the events.
        run_in_thread: runs the parsing of a large batch outside the event loop.
        jitter: returns a random number between two bounds.
        stop_timeout: see ``STOP_TIMEOUT``.
        retry_max_wait: see ``RETRY_MAX_WAIT``.
        concurrent_stores: see ``CONCURRENT_STORES``.
    """

    def __init__(
        self,
        source: MessageSource,
        ingest: IngestBatch,
        observer: IngestObserver,
        *,
        run_in_thread: RunInThread = _run_inline,
        jitter: Callable[[float, float], float] = random.uniform,
        stop_timeout: float = STOP_TIMEOUT,
        retry_max_wait: float = RETRY_MAX_WAIT,
        concurrent_stores: int = CONCURRENT_STORES,
    ) -> None:
        self._source = source
        self._ingest = ingest
        self._observer = observer
        self._run_in_thread = run_in_thread
        self._jitter = jitter
        self._stop_timeout = stop_timeout
        self._retry_max_wait = retry_max_wait
        self._concurrent_stores = concurrent_stores
        self._commit_task: asyncio.Task[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop``; then finish the batches in flight or leave them uncommitted.

        Raises:
            OrdersError: the source has failed permanently.
            Exception: any unforeseen error; batches that are not stored are not committed.
        """
        work = asyncio.create_task(self._work(stop))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=_FIRST)
            await asyncio.wait({work}, timeout=self._stop_timeout)
            if work.done():
                work.result()
            else:
                self._observer.batch_abandoned("out of time")
        finally:
            await _cancel(work, stopping)
            self._observer.stopped()

    async def _work(self, stop: asyncio.Event) -> None:
        prefetcher = Prefetcher(self._source, self._ingest, self._run_in_thread)
        stopping = asyncio.create_task(stop.wait())
        prefetching = asyncio.create_task(prefetcher.run())
        arrived = asyncio.create_task(prefetcher.arrived())
        in_flight: list[_InFlight] = []
        try:
            while not stop.is_set():
                running = [each.store for each in in_flight if not _is_done(each.store)]
                if in_flight and in_flight[0].store.done():
                    await self._finish_first(in_flight)
                    continue
                waited_for: set[asyncio.Task[Any]] = {stopping, *running}
                if len(in_flight) < self._concurrent_stores:
                    # Batches received before the source failed are stored first.
                    is_last = in_flight and prefetching.done()
                    waited_for |= {arrived} if is_last else {arrived, prefetching}
                await asyncio.wait(waited_for, return_when=_FIRST)
                if stop.is_set():
                    break
                if self._start_store(prefetcher, in_flight, stop):
                    await _cancel(arrived)
                    arrived = asyncio.create_task(prefetcher.arrived())
                elif not in_flight:
                    prefetching.result()  # raises
            while in_flight:
                await self._finish_first(in_flight)
        except asyncio.CancelledError:  # out of time
            await self._cancel_commit()
            raise
        finally:
            await _cancel(prefetching, stopping, arrived, *(each.store for each in in_flight))
            if self._commit_task:
                await self._commit_task

    def _start_store(
        self, prefetcher: Prefetcher, in_flight: "list[_InFlight]", stop: asyncio.Event
    ) -> bool:
        """Start to store the pending batch; returns False if there is none."""
        pending = prefetcher.take()
        if pending is None:
            return False
        previous = in_flight[-1] if in_flight else None
        behind = partial(_orders_behind, pending, in_flight)
        store = asyncio.create_task(self._store_in_turn(pending, previous, behind, stop))
        in_flight.append(_InFlight(pending, store))
        return True

    async def _finish_first(self, in_flight: "list[_InFlight]") -> None:
        """Wait until the first batch in flight is stored, and commit it.

        If it is abandoned, later batches are not committed either.
        """
        if not await in_flight[0].store:
            await _cancel(*(each.store for each in in_flight))
            in_flight.clear()
            return
        batch = in_flight.pop(0).pending.batch
        if self._commit_task:
            await self._commit_task
        self._commit_task = asyncio.create_task(self._commit(batch))

    async def _cancel_commit(self) -> None:
        if self._commit_task:
            await _cancel(self._commit_task)
            self._commit_task = None

    async def _store_in_turn(
        self,
        pending: PendingBatch,
        previous: "_InFlight | None",
        behind: Callable[[], int],
        stop: asyncio.Event,
    ) -> bool:
        """Store a batch concurrently with the previous one, or after it if they share an order.

        Of several documents of one order, the first in the topic is stored.
        """
        if previous and not pending.order_uids.isdisjoint(previous.pending.order_uids):
            await asyncio.wait({previous.store})
            if stop.is_set() or not _is_stored(previous.store):
                return False
        del previous  # it may be large, and the store may take long
        return await self._store(pending.parsed, behind, stop)

    async def _store(
        self, parsed: ParsedBatch, behind: Callable[[], int], stop: asyncio.Event
    ) -> bool:
        """Store a batch and retry until it succeeds; returns False if the stop comes first."""
        attempt = self._observer.store_started()
        max_wait = min(RETRY_FIRST_WAIT, self._retry_max_wait)
        while True:
            try:
                report = await self._ingest.store(parsed, behind)
            except UnsuitableDatabase:
                raise
            except OrdersError as error:  # after a restart, the same batch would fail likewise
                reason = str(error)
            else:
                attempt.stored(report)
                return True
            if stop.is_set():
                self._observer.batch_abandoned(reason)
                return False
            attempt.failed(reason)
            await _sleep(self._jitter(0, max_wait), stop)
            max_wait = min(2 * max_wait, self._retry_max_wait)

    async def _commit(self, batch: Batch) -> None:
        try:
            await self._source.commit(batch)
        except Unavailable as error:
            # A later commit covers this one, and orders that are received again change nothing.
            self._observer.commit_unconfirmed(str(error))


def _orders_behind(pending: PendingBatch, in_flight: Sequence[_InFlight]) -> int:
    """Return the number of orders in the batches in flight after this one."""
    orders = 0
    for each in reversed(in_flight):
        if each.pending is pending:
            break
        orders += len(each.pending.parsed.candidates)
    return orders


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    """Sleep, but not beyond the stop."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def _is_stored(store: "asyncio.Task[bool]") -> bool:
    """Whether a finished store has succeeded."""
    return not store.cancelled() and store.exception() is None and store.result()


def _is_done(store: "asyncio.Task[bool]") -> bool:
    """Whether the store is finished; raises its error, if any."""
    if not store.done():
        return False
    store.result()
    return True


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    """Cancel tasks and wait for them; their results and errors are ignored."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
