"""Where orders are exported to."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from orders.domain.order.document import StoredOrder


class OrderSink(Protocol):
    """Takes exported orders; they are there as a whole after ``commit``, or not at all."""

    @abstractmethod
    async def write(self, orders: Sequence[StoredOrder]) -> None:
        """Write orders.

        Raises:
            Unavailable: they cannot be written, for example because the disk is full.
        """

    @abstractmethod
    async def commit(self) -> None:
        """Make what was written visible under its name. Raises Unavailable."""

    @abstractmethod
    async def discard(self) -> None:
        """Remove what was written, unless it was committed; repeating this changes nothing."""
