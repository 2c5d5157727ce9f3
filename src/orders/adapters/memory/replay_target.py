"""Dead letters back into a topic in memory."""

from collections.abc import AsyncIterator, Collection, Sequence

from orders.adapters.memory.topic import MAX_MESSAGE_BYTES, MemoryTopic, size_in_topic
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter, Identity
from orders.domain.letter_headers import headers_of_replay, replayed_identity
from orders.domain.ports import Mark, ReplayTarget


class MemoryReplayTarget(ReplayTarget):
    """Sends into a ``MemoryTopic``.

    Attributes:
        available: set it to False to have the topic be away.
    """

    def __init__(self, topic: MemoryTopic) -> None:
        self.available = True
        self._topic = topic

    @property
    def topic(self) -> str:
        """See ``ReplayTarget.topic``."""
        return self._topic.name

    async def mark(self) -> Mark:
        """See ``ReplayTarget.mark``."""
        self._check()
        return {number: len(messages) for number, messages in enumerate(self._topic.partitions)}

    async def replayed_since(self, mark: Mark) -> AsyncIterator[Identity]:
        """See ``ReplayTarget.replayed_since``."""
        self._check()
        for number, messages in enumerate(self._topic.partitions):
            for message in messages[mark.get(number, 0) :]:
                if identity := replayed_identity(message.headers):
                    yield identity

    async def send(self, letters: Sequence[DeadLetter]) -> Collection[Identity]:
        """See ``ReplayTarget.send``."""
        self._check()
        too_large = set()
        for letter in letters:
            key, headers = letter.message.key, headers_of_replay(letter)
            value = letter.as_message
            if size_in_topic(value or b"", key or b"", headers) > MAX_MESSAGE_BYTES:
                too_large.add(letter.identity)
            else:
                self._topic.append(value, key, headers)
        return too_large

    def _check(self) -> None:
        if not self.available:
            raise Unavailable("the topic is away")
