"""The way out of the dead letters, for people and their tools."""

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Protocol

from msgspec import Struct

from orders.domain.intake.messages import DeadLetter


class Entry(Struct, frozen=True):
    """One place where dead letters are kept, such as (partition, offset).

    ``letter`` is None where somebody else's message stands there.
    """

    place: tuple[int, int]
    letter: DeadLetter | None


class DeadLetterReader(Protocol):
    """Reads what is there; changes nothing, and nobody else reads less for it."""

    @property
    @abstractmethod
    def topic(self) -> str:
        """The name of the topic that they are kept on."""

    @abstractmethod
    async def approximate_count(self) -> int | None:
        """About how many entries there are now; cheap. None: no place for them is known (yet).

        Raises:
            Unavailable: the dead letters are away.
        """

    @abstractmethod
    def read(self) -> AsyncIterator[Entry]:
        """All entries that are there when reading begins, each partition in its order.

        A letter may come several times: it is written at least once.

        Raises:
            Unavailable: the dead letters are away.
        """
