"""The topic of dead letters, as written by the consumer."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from orders.domain.intake.messages import DeadLetter


class DeadLetters(Protocol):
    """Stores dead letters at least once; readers identify copies by their identity."""

    @abstractmethod
    async def put(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Store dead letters; returns when all are acknowledged.

        Raises:
            Unavailable: not all were acknowledged in time; storing all of them again is safe.
        """
