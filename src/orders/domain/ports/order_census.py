"""A store of orders that can be compared with another: its numbers, keys and documents."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class OrderNumbers(Struct, frozen=True):
    """The number of orders by the day of date_created in UTC, and besides of incomplete ones."""

    days: Mapping[str, int]
    incomplete: int = 0


class OrderCensus(Protocol):
    """Counts and looks up orders.

    Incomplete ones, which are stored without delivery or payment, are counted and do not exist
    otherwise.
    """

    @abstractmethod
    async def numbers(self) -> OrderNumbers:
        """Count the orders; raises Unavailable."""

    @abstractmethod
    def uids(self, sample: int | None, seed: int) -> AsyncIterator[Sequence[str]]:
        """Yield all order_uids, or ``sample`` of them chosen by ``seed``; raises Unavailable.

        Two stores of the same orders choose the same ones.
        """

    @abstractmethod
    async def known(self, order_uids: Sequence[str]) -> set[str]:
        """Return those of these order_uids that are stored; raises Unavailable."""

    @abstractmethod
    def documents(self, order_uids: Sequence[str]) -> AsyncIterator[Mapping[str, bytes]]:
        """Yield what is stored of these orders as JSON, valid or not; raises Unavailable.

        It comes in parts of some 16 MiB at most, for a thousand orders may be a gigabyte; an order
        that is larger comes alone.
        """
