"""Reads the topic of dead letters, for the tools of operators."""

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Protocol

from msgspec import Struct

from orders.domain.intake.messages import DeadLetter


class Entry(Struct, frozen=True):
    """A record at ``place``, which is (partition, offset).

    ``dead_letter`` is None for a record that is not one of ours.
    """

    place: tuple[int, int]
    dead_letter: DeadLetter | None


class DeadLetterReader(Protocol):
    """Reads dead letters without a consumer group and without any changes."""

    @property
    @abstractmethod
    def topic(self) -> str:
        """The name of the topic."""

    @abstractmethod
    async def approximate_count(self) -> int | None:
        """Return about how many records there are, or None if the topic does not exist.

        Raises:
            Unavailable: the brokers are unreachable.
        """

    @abstractmethod
    def read(self) -> AsyncIterator[Entry]:
        """Yield all records that exist when reading starts, each partition in its order.

        A dead letter may occur several times, since it is written at least once.

        Raises:
            Unavailable: the brokers are unreachable.
        """
