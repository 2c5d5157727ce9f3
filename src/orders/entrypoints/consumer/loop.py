"""The loop from the topic to the database.

While one batch is stored, the next is received and read (and those after it are joined to it, up to
a bound), and the one before is committed; each of the three goes in the order of the topic. Nothing
is committed before it was stored.
"""

import asyncio
import time
from contextlib import suppress
from functools import partial

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from orders.domain.errors import Unavailable
from orders.domain.messages import Batch
from orders.domain.ports import MessageSource
from orders.domain.storing import Storing
from orders.domain.use_cases.ingest_batch import IngestBatch, IngestReport, Prepared
from orders.entrypoints.consumer.progress import Progress
from orders.entrypoints.consumer.reading_ahead import ReadingAhead

STOP_TIMEOUT = 4.0
"""Seconds that the batch in hand has to be stored and committed in after the stop: several times
what the largest takes, and short enough to close everything within 10 s of the signal."""
RETRY_MAX_WAIT = 5.0
"""Seconds between two tries at most, while the database or the dead letters are away."""
_FIRST = asyncio.FIRST_COMPLETED

_log = structlog.get_logger(__name__)


class ConsumerLoop:
    """``source`` gives and commits, ``ingest`` reads and stores.

    ``storing`` is told how that goes. ``stop_timeout`` and ``retry_max_wait`` are in seconds.
    """

    def __init__(
        self,
        source: MessageSource,
        ingest: IngestBatch,
        storing: Storing | None = None,
        *,
        stop_timeout: float = STOP_TIMEOUT,
        retry_max_wait: float = RETRY_MAX_WAIT,
    ) -> None:
        self._source = source
        self._ingest = ingest
        self._stop_timeout = stop_timeout
        self._retry_max_wait = retry_max_wait
        self._progress = Progress()
        self._storing = storing or Storing()

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
        committing: asyncio.Task[None] | None = None
        try:
            while not stop.is_set():
                arrived = asyncio.create_task(ahead.arrived())
                await asyncio.wait({arrived, reading, stopping}, return_when=_FIRST)
                arrived.cancel()
                if stop.is_set():
                    break
                read = ahead.take()
                if read is None:
                    reading.result()  # raises
                    break
                if not await self._store(read.prepared, stop):
                    break
                if committing:
                    await committing
                committing = asyncio.create_task(self._commit(read.batch))
        except asyncio.CancelledError:  # out of time
            if committing:
                await _cancel(committing)
                committing = None
            raise
        finally:
            await _cancel(reading, stopping)
            if committing:
                await committing

    async def _store(self, prepared: Prepared, stop: asyncio.Event) -> bool:
        """Store a batch, however long it takes; False if that was not to be before the stop."""
        started = time.monotonic()
        self._storing.begin()
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_random_exponential(multiplier=0.1, max=self._retry_max_wait),
            stop=lambda _state: stop.is_set(),
            sleep=partial(_sleep, stop),
            before_sleep=self._note_failure,
            reraise=True,
        )
        try:
            report: IngestReport = await retrying(self._ingest.store, prepared)
        except Unavailable as error:
            _log.warning("batch in hand is left for the next start", reason=str(error))
            return False
        waited = self._storing.succeed()
        if waited is not None:
            _log.info("can store again", waited_s=round(waited, 1))
        self._progress.stored(report, time.monotonic() - started)
        return True

    def _note_failure(self, state: RetryCallState) -> None:
        reason = str(state.outcome.exception()) if state.outcome else ""
        if self._storing.fail(reason):
            _log.warning("cannot store, waiting", reason=reason)

    async def _commit(self, batch: Batch) -> None:
        try:
            await self._source.commit(batch)
        except Unavailable as error:
            # What is stored is safe. A later commit says it too, and what comes again is a no-op.
            _log.warning("commit not confirmed", reason=str(error))


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but not beyond the stop."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    """Cancel these tasks and wait for them; what they raise now concerns nobody any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
