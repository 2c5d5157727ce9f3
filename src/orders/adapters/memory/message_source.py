"""Messages from a topic in memory."""

import asyncio

from msgspec import Struct

from orders.adapters.memory.topic import MemoryTopic
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import BATCH_BYTES, BATCH_MESSAGES, Batch, Message
from orders.domain.ports import Dependency, MessageSource


class _AckToken(Struct, frozen=True):
    positions: tuple[int, ...]


class MemoryMessageSource(MessageSource, Dependency):
    """Reads all partitions from where the group has committed.

    A new source takes the partitions over; commits of the one before it then change nothing.
    """

    def __init__(self, topic: MemoryTopic) -> None:
        self._topic = topic
        self._positions = list(topic.committed)
        self._changed = asyncio.Event()
        self._is_available = True
        topic.reader = self
        topic.watch(self._changed.set)

    @property
    def available(self) -> bool:
        """Whether the topic is up; set it to False to simulate an outage."""
        return self._is_available

    @available.setter
    def available(self, value: bool) -> None:
        self._is_available = value
        self._changed.set()

    async def receive(self) -> Batch:
        """See ``MessageSource.receive``."""
        while True:
            self._changed.clear()
            if self._is_available and self._topic.reader is self and (messages := self._take()):
                return Batch(messages, _AckToken(tuple(self._positions)))
            await self._changed.wait()

    async def commit(self, batch: Batch) -> None:
        """See ``MessageSource.commit``."""
        await self.check()
        assert isinstance(batch.ack_token, _AckToken)
        if self._topic.reader is not self:
            return
        self._topic.committed = [
            max(old, new)
            for old, new in zip(self._topic.committed, batch.ack_token.positions, strict=True)
        ]

    async def check(self) -> None:
        """See ``Dependency.check``."""
        if not self._is_available:
            raise Unavailable("the topic is down")

    def _take(self) -> tuple[Message, ...]:
        taken: list[Message] = []
        size = 0
        for partition, messages in enumerate(self._topic.partitions):
            for message in messages[self._positions[partition] :]:
                size += message.size
                if len(taken) == BATCH_MESSAGES or (taken and size > BATCH_BYTES):
                    return tuple(taken)
                taken.append(message)
                self._positions[partition] += 1
        return tuple(taken)
