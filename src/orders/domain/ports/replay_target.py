"""Where dead letters are sent again: the topic that they came from."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import Protocol

from orders.domain.intake.messages import DeadLetter


class ReplayTarget(Protocol):
    """The topic that orders arrive on."""

    @property
    @abstractmethod
    def topic(self) -> str:
        """Its name; dead letters of other topics do not belong there."""

    @abstractmethod
    async def send(self, dead_letters: Sequence[DeadLetter]) -> Collection[DeadLetter]:
        """Send the dead letters' messages again and wait until all replicas have them.

        Their original bytes and key, the headers of ``headers_of_replay``, the time of now.
        Returns those that the topic does not take, because they are too large with these headers.

        Raises:
            Unavailable: not all were confirmed; some may have been sent, now or a little later.
        """
