"""Where dead letters are sent again: the topic that they came from."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

from orders.domain.intake.messages import DeadLetter, Identity

Mark = Mapping[int, int]
"""A point in a topic's life: of each partition, the offset that its next message will have."""


class ReplayTarget(Protocol):
    """The topic that orders arrive on."""

    @property
    @abstractmethod
    def topic(self) -> str:
        """Its name; letters of other topics do not belong there."""

    @abstractmethod
    async def mark(self) -> Mark:
        """The present moment: what is sent from now on stands behind it.

        Raises:
            Unavailable: the topic is away.
        """

    @abstractmethod
    def replayed_since(self, mark: Mark) -> AsyncIterator[Identity]:
        """Which letters' messages stand behind ``mark``, as their headers say.

        Raises:
            Unavailable: the topic is away.
        """

    @abstractmethod
    async def send(self, letters: Sequence[DeadLetter]) -> Collection[Identity]:
        """Send the letters' messages again, each once, and wait until all replicas have them.

        Their original bytes and key, the headers that ``headers_of_replay`` tells, the time of now.
        Returns those that the topic does not take, because they are too large with these headers.

        Raises:
            Unavailable: not all were confirmed; some may have been sent, now or a little later.
        """
