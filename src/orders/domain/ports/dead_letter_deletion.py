"""Deletes dead letters, for the tools of operators."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol


class DeadLetterDeletion(Protocol):
    """Deletes the oldest records of the topic of dead letters; single ones cannot be deleted."""

    @abstractmethod
    async def delete(self, ends: Mapping[int, int]) -> None:
        """Delete the records of each partition up to, but excluding, an offset.

        Raises:
            Unavailable: the brokers are unreachable, or refuse it; repeating it is safe.
        """
