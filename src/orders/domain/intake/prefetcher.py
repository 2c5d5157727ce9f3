"""Receives and parses batches while others are stored."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from orders.domain.intake.messages import BATCH_BYTES, BATCH_MESSAGES, Batch
from orders.domain.ports import MessageSource
from orders.domain.use_cases.ingest_batch import IngestBatch, ParsedBatch

MAX_PENDING_MESSAGES = BATCH_MESSAGES // 2
"""With this many pending messages no more are received: half a full batch, so that no more than one
and a half are stored together and in memory."""
MAX_PENDING_BYTES = BATCH_BYTES // 2
"""The same for their bytes."""
INLINE_BYTES = 65_536
"""Batches up to this size are parsed in the event loop, larger ones in a thread, since parsing may
take seconds, in which timeouts would expire."""

RunInThread = Callable[[Callable[[], ParsedBatch]], Awaitable[ParsedBatch]]


class PendingBatch(NamedTuple):
    """Received batches that are stored together.

    ``batch`` is the last of them: committing it commits all.
    """

    batch: Batch
    parsed: ParsedBatch
    size: int

    @property
    def order_uids(self) -> frozenset[str]:
        """The order_uids of all valid orders."""
        return frozenset([each.order.order_uid for each in self.parsed.candidates])

    def joined_with(self, later: "PendingBatch") -> "PendingBatch":
        """Return both as one batch."""
        return PendingBatch(
            later.batch, self.parsed.followed_by(later.parsed), self.size + later.size
        )


class Prefetcher:
    """Receives and parses batches while ``run`` is running.

    A batch that arrives while another is pending is joined to it, up to half a full batch. So a
    lone message can be taken at once, and messages that arrive while the database is busy share a
    transaction.
    """

    def __init__(
        self,
        source: MessageSource,
        ingest: IngestBatch,
        run_in_thread: RunInThread,
        max_pending_messages: int = MAX_PENDING_MESSAGES,
    ) -> None:
        self._source = source
        self._ingest = ingest
        self._run_in_thread = run_in_thread
        self._max_pending_messages = max_pending_messages
        self._pending: PendingBatch | None = None
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()

    async def run(self) -> None:
        """Receive until cancelled.

        Raises:
            OrdersError: the source has failed permanently; the pending batch can still be taken.
        """
        while True:
            while self._is_full:
                self._taken.clear()
                await self._taken.wait()
            received = await self._receive()
            self._pending = self._pending.joined_with(received) if self._pending else received
            del received  # it is large, and the next may arrive much later
            self._arrived.set()

    async def arrived(self) -> None:
        """Wait until a batch is pending."""
        await self._arrived.wait()

    def take(self) -> PendingBatch | None:
        """Take the pending batch, or None."""
        pending, self._pending = self._pending, None
        self._arrived.clear()
        self._taken.set()
        return pending

    @property
    def _is_full(self) -> bool:
        pending = self._pending
        return pending is not None and (
            pending.parsed.messages >= self._max_pending_messages
            or pending.size >= MAX_PENDING_BYTES
        )

    async def _receive(self) -> PendingBatch:
        batch = await self._source.receive()
        size = sum([message.size for message in batch.messages])
        if size <= INLINE_BYTES:
            return PendingBatch(batch, self._ingest.prepare(batch.messages), size)
        parse = partial(self._ingest.prepare, batch.messages)
        return PendingBatch(batch, await self._run_in_thread(parse), size)
