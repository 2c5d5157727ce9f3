"""The topic that dead letters are replayed to."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import Protocol

from orders.domain.intake.messages import DeadLetter


class ReplayTarget(Protocol):
    """The topic that orders arrive on."""

    @property
    @abstractmethod
    def topic(self) -> str:
        """Its name; dead letters of other topics are not sent to it."""

    @abstractmethod
    async def send(self, dead_letters: Sequence[DeadLetter]) -> Collection[DeadLetter]:
        """Send the messages of dead letters again; returns when all are acknowledged.

        They have the original bytes and key, the headers of ``headers_of_replay`` and a new
        timestamp. Returns those that exceed the size limit of the topic with these headers.

        Raises:
            Unavailable: not all were acknowledged; some may have been or may still be sent.
        """
