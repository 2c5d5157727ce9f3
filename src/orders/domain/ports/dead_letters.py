"""Where what cannot be stored is kept for people to look at."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from orders.domain.intake.messages import DeadLetter


class DeadLetters(Protocol):
    """Keeps dead letters at least once each; readers count them by identity."""

    @abstractmethod
    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Keep these letters, and return when all of them are safe.

        Raises:
            Unavailable: not all were confirmed in time; putting all of them again is safe.
        """
