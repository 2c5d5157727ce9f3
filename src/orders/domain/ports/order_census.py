"""A store of orders that can be compared with another: its numbers, keys and documents."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol


class OrderCensus(Protocol):
    """Counts and looks up orders."""

    @abstractmethod
    async def days(self) -> Mapping[str, int]:
        """Return the number of orders by the day of date_created in UTC; raises Unavailable."""

    @abstractmethod
    def uids(self, sample: int | None, seed: int) -> AsyncIterator[Sequence[str]]:
        """Yield all order_uids, or ``sample`` of them chosen by ``seed``; raises Unavailable.

        Two stores of the same orders choose the same ones.
        """

    @abstractmethod
    async def known(self, order_uids: Sequence[str]) -> set[str]:
        """Return those of these order_uids that are stored; raises Unavailable."""

    @abstractmethod
    async def documents(self, order_uids: Sequence[str]) -> Mapping[str, bytes]:
        """Return what is stored of these orders as JSON, valid or not; raises Unavailable."""
