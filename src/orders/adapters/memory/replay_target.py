"""Dead letters back into a topic in memory."""

from collections.abc import Collection, Sequence

from orders.adapters.memory.topic import MAX_MESSAGE_BYTES, MemoryTopic, size_in_topic
from orders.domain.dead_letters.headers import headers_of_replay
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import ReplayTarget


class MemoryReplayTarget(ReplayTarget):
    """Sends into a ``MemoryTopic``.

    Attributes:
        available: set it to False to make the topic unreachable.
    """

    def __init__(self, topic: MemoryTopic) -> None:
        self.available = True
        self._topic = topic

    @property
    def topic(self) -> str:
        """See ``ReplayTarget.topic``."""
        return self._topic.name

    async def send(self, dead_letters: Sequence[DeadLetter]) -> Collection[DeadLetter]:
        """See ``ReplayTarget.send``."""
        if not self.available:
            raise Unavailable("the topic is down")
        too_large = []
        for dead_letter in dead_letters:
            key, headers = dead_letter.message.key, headers_of_replay(dead_letter)
            value = dead_letter.as_message
            if size_in_topic(value or b"", key or b"", headers) > MAX_MESSAGE_BYTES:
                too_large.append(dead_letter)
            else:
                self._topic.append(value, key, headers)
        return too_large
