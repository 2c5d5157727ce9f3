"""Batches that are received and read while others are stored."""

import asyncio
from functools import partial
from typing import NamedTuple

from orders.daemon_thread import in_daemon_thread
from orders.domain.intake.messages import BATCH_BYTES, BATCH_MESSAGES, Batch
from orders.domain.ports import MessageSource
from orders.domain.use_cases.ingest_batch import IngestBatch, Prepared

MOST_MESSAGES = BATCH_MESSAGES // 2
"""Messages that wait, from which on no more are joined to them: half a batch of a backlog, so that
what is stored together, and held in memory, never is much more than one batch."""
MOST_BYTES = BATCH_BYTES // 2
"""The same for the bytes of their values."""
INLINE_BYTES = 65_536
"""Values of a batch up to which it is read at once. Larger ones are read in a thread: a good batch
is as fast either way, but a megabyte of brackets takes seconds, in which everything would stand
still and whoever waits for a server would think it away."""


class Read(NamedTuple):
    """Batches that are stored together. ``batch`` is the last: to commit it is to commit all."""

    batch: Batch
    prepared: Prepared
    size: int

    @property
    def order_uids(self) -> frozenset[str]:
        """Of all valid orders in it."""
        return frozenset([each.order.order_uid for each in self.prepared.candidates])

    def followed_by(self, later: "Read") -> "Read":
        """Both as one."""
        return Read(later.batch, self.prepared.followed_by(later.prepared), self.size + later.size)


class ReadingAhead:
    """Receives and reads for as long as ``run`` runs; the outcome waits to be taken.

    What comes while something waits already is joined to it, up to half a batch: so a lone
    message is taken at once, and those that trickle in while the database is busy cost one
    transaction and not one each. ``most_messages`` is for tests.
    """

    def __init__(
        self, source: MessageSource, ingest: IngestBatch, most_messages: int = MOST_MESSAGES
    ) -> None:
        self._source = source
        self._ingest = ingest
        self._most_messages = most_messages
        self._waiting: Read | None = None
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()

    async def run(self) -> None:
        """Receive until cancelled.

        Raises:
            OrdersError: the source cannot go on; what waits may be taken still.
        """
        while True:
            while self._is_full:
                self._taken.clear()
                await self._taken.wait()
            read = await self._read()
            self._waiting = self._waiting.followed_by(read) if self._waiting else read
            del read  # it is large, and the next may take long to come
            self._arrived.set()

    async def arrived(self) -> None:
        """Wait until there is something to take."""
        await self._arrived.wait()

    def take(self) -> Read | None:
        """All that waits; None if nothing does."""
        read, self._waiting = self._waiting, None
        self._arrived.clear()
        self._taken.set()
        return read

    @property
    def _is_full(self) -> bool:
        waiting = self._waiting
        return waiting is not None and (
            waiting.prepared.messages >= self._most_messages or waiting.size >= MOST_BYTES
        )

    async def _read(self) -> Read:
        batch = await self._source.receive()
        size = sum([len(message.value or b"") for message in batch.messages])
        if size <= INLINE_BYTES:
            return Read(batch, self._ingest.prepare(batch.messages), size)
        preparing = partial(self._ingest.prepare, batch.messages)
        return Read(batch, await in_daemon_thread(preparing), size)
