"""Reads the topic of dead letters, for the tools of operators."""

from abc import abstractmethod
from array import array
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from orders.domain.intake.messages import DeadLetter


class Entry(Struct, frozen=True):
    """A record at ``place``, which is (partition, offset).

    ``dead_letter`` is None for a record that is not one of ours, and where its orders are forgotten
    and the reader leaves those out: ``is_forgotten``.
    """

    place: tuple[int, int]
    dead_letter: DeadLetter | None
    is_forgotten: bool = False


class Places:
    """Positions of records, in 8 bytes each: there may be a million."""

    def __init__(self, places: Iterable[tuple[int, int]] = ()) -> None:
        self._offsets: dict[int, array[int]] = {}
        for place in places:
            self.append(place)
        for partition, offsets in self._offsets.items():
            self._offsets[partition] = array("q", sorted(offsets))

    def append(self, place: tuple[int, int]) -> None:
        """Add a position behind the others of its partition."""
        partition, offset = place
        self._offsets.setdefault(partition, array("q")).append(offset)

    def __len__(self) -> int:
        """How many there are."""
        return sum(map(len, self._offsets.values()))

    def __contains__(self, place: tuple[int, int]) -> bool:
        """Whether this is one of them."""
        partition, offset = place
        offsets = self._offsets.get(partition, ())
        at = bisect_left(offsets, offset)
        return at < len(offsets) and offsets[at] == offset

    @property
    def bounds(self) -> Mapping[int, tuple[int, int]]:
        """The first and the last offset of each partition."""
        return {number: (offsets[0], offsets[-1]) for number, offsets in self._offsets.items()}


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
    def read(self, places: Places | None = None) -> AsyncIterator[Entry]:
        """Yield all records that exist when reading starts, each partition in its order.

        With ``places`` only those that are there, without a look at what is before and behind them.
        A dead letter may occur several times, since it is written at least once.

        Raises:
            Unavailable: the brokers are unreachable.
        """
