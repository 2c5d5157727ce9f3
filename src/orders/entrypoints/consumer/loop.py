"""The loop from the topic to the database.

While batches are stored, the next is received and read (and those after it are joined to it, up to
a bound), and the one before is committed. Two are stored at a time, so that one is packed and sent
while PostgreSQL checks the other. Commits go in the order of the topic, each when its batch and all
before it are stored.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from orders.domain.errors import Unavailable
from orders.domain.intake.messages import Batch
from orders.domain.ports import MessageSource
from orders.domain.storing import Attempt, Storing
from orders.domain.use_cases.ingest_batch import IngestBatch, IngestReport, Prepared
from orders.entrypoints.consumer.progress import Progress
from orders.entrypoints.consumer.reading_ahead import Read, ReadingAhead

STOP_TIMEOUT = 4.0
"""Seconds that the batch in hand has to be stored and committed in after the stop: several times
what the largest takes, and short enough to close everything within 10 s of the signal."""
RETRY_MAX_WAIT = 5.0
"""Seconds between two tries at most, while the database or the dead letters are away."""
STORED_AT_ONCE = 2
"""Batches that are stored at the same time, each in a transaction of its own: a third more orders a
second than with one, on two processors."""
_FIRST = asyncio.FIRST_COMPLETED

_log = structlog.get_logger(__name__)


class _InHand(NamedTuple):
    """A batch that is being stored; ``storing`` tells whether that was to be."""

    read: Read
    storing: "asyncio.Task[bool]"


class ConsumerLoop:
    """``source`` gives and commits, ``ingest`` reads and stores.

    ``storing`` is told how that goes. ``at_once`` batches are stored at the same time.
    ``stop_timeout`` and ``retry_max_wait`` are in seconds.
    """

    def __init__(
        self,
        source: MessageSource,
        ingest: IngestBatch,
        storing: Storing | None = None,
        *,
        stop_timeout: float = STOP_TIMEOUT,
        retry_max_wait: float = RETRY_MAX_WAIT,
        at_once: int = STORED_AT_ONCE,
    ) -> None:
        self._source = source
        self._ingest = ingest
        self._stop_timeout = stop_timeout
        self._retry_max_wait = retry_max_wait
        self._at_once = at_once
        self._progress = Progress()
        self._storing = storing or Storing()
        self._committing: asyncio.Task[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop``; then finish the batch in hand, or leave it uncommitted.

        Raises:
            OrdersError: the source cannot go on.
            Exception: whatever was not foreseen; nothing that was not stored is committed.
        """
        work = asyncio.create_task(self._work(stop))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=_FIRST)
            await asyncio.wait({work}, timeout=self._stop_timeout)
            if work.done():
                work.result()
            else:
                _log.warning("batch in hand is left for the next start", reason="out of time")
        finally:
            await _cancel(work, stopping)
            self._progress.summarise()

    async def _work(self, stop: asyncio.Event) -> None:
        ahead = ReadingAhead(self._source, self._ingest)
        stopping = asyncio.create_task(stop.wait())
        reading = asyncio.create_task(ahead.run())
        arrived = asyncio.create_task(ahead.arrived())
        in_hand: list[_InHand] = []
        try:
            while not stop.is_set():
                under_way = [each.storing for each in in_hand if not _ended(each.storing)]
                if in_hand and in_hand[0].storing.done():
                    await self._finish(in_hand)
                    continue
                waited_for: set[asyncio.Task[Any]] = {stopping, *under_way}
                if len(in_hand) < self._at_once:
                    # What was read before reading has failed is dealt with first.
                    waited_for |= {arrived} if in_hand and reading.done() else {arrived, reading}
                await asyncio.wait(waited_for, return_when=_FIRST)
                if stop.is_set():
                    break
                if self._begin(ahead, in_hand, stop):
                    await _cancel(arrived)
                    arrived = asyncio.create_task(ahead.arrived())
                elif not in_hand:
                    reading.result()  # raises
            while in_hand:
                await self._finish(in_hand)
        except asyncio.CancelledError:  # out of time
            await self._leave_commit()
            raise
        finally:
            await _cancel(reading, stopping, arrived, *(each.storing for each in in_hand))
            if self._committing:
                await self._committing

    def _begin(self, ahead: ReadingAhead, in_hand: "list[_InHand]", stop: asyncio.Event) -> bool:
        """Have what waits be stored; False where nothing does."""
        read = ahead.take()
        if read is None:
            return False
        last = in_hand[-1] if in_hand else None
        behind = partial(_orders_behind, read, in_hand)
        in_hand.append(_InHand(read, asyncio.create_task(self._next(read, last, behind, stop))))
        return True

    async def _finish(self, in_hand: "list[_InHand]") -> None:
        """Wait until the first batch in hand is stored, and have it committed after those before.

        If it is not to be stored, nothing behind it is committed either.
        """
        if not await in_hand[0].storing:
            await _cancel(*(each.storing for each in in_hand))
            in_hand.clear()
            return
        batch = in_hand.pop(0).read.batch
        if self._committing:
            await self._committing
        self._committing = asyncio.create_task(self._commit(batch))

    async def _leave_commit(self) -> None:
        if self._committing:
            await _cancel(self._committing)
            self._committing = None

    async def _next(
        self,
        read: Read,
        last: "_InHand | None",
        behind: Callable[[], int],
        stop: asyncio.Event,
    ) -> bool:
        """Store a batch beside the last one, or after it where the two have an order in common.

        Of documents of one order, the first in the topic is the one that is stored.
        """
        if last and not read.order_uids.isdisjoint(last.read.order_uids):
            await asyncio.wait({last.storing})
            if stop.is_set():
                return False
        del last
        return await self._store(read.prepared, behind, stop)

    async def _store(
        self, prepared: Prepared, behind: Callable[[], int], stop: asyncio.Event
    ) -> bool:
        """Store a batch, however long it takes; False if that was not to be before the stop."""
        started = time.monotonic()
        attempt = self._storing.begin()
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_random_exponential(multiplier=0.1, max=self._retry_max_wait),
            stop=lambda _state: stop.is_set(),
            sleep=partial(_sleep, stop),
            before_sleep=partial(_note_failure, attempt),
            reraise=True,
        )
        try:
            report: IngestReport = await retrying(self._ingest.store, prepared, behind)
        except Unavailable as error:
            _log.warning("batch in hand is left for the next start", reason=str(error))
            return False
        waited = attempt.succeed()
        if waited is not None:
            _log.info("can store again", waited_s=round(waited, 1))
        self._progress.stored(report, time.monotonic() - started)
        return True

    async def _commit(self, batch: Batch) -> None:
        try:
            await self._source.commit(batch)
        except Unavailable as error:
            # What is stored is safe. A later commit says it too, and what comes again is a no-op.
            _log.warning("commit not confirmed", reason=str(error))


def _orders_behind(read: Read, in_hand: "Sequence[_InHand]") -> int:
    """How many orders the batches in hand behind this one hold."""
    orders = 0
    for each in reversed(in_hand):
        if each.read is read:
            break
        orders += len(each.read.prepared.candidates)
    return orders


def _note_failure(attempt: Attempt, state: RetryCallState) -> None:
    reason = str(state.outcome.exception()) if state.outcome else ""
    if attempt.fail(reason):
        _log.warning("cannot store, waiting", reason=reason)


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but not beyond the stop."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def _ended(storing: "asyncio.Task[bool]") -> bool:
    """Whether it has; raises what it has failed with, whoever else is still at it."""
    if not storing.done():
        return False
    storing.result()
    return True


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    """Cancel these tasks and wait for them; what they raise now concerns nobody any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
