"""Which orders were stored and forgotten, in sequence."""

from abc import abstractmethod
from typing import Protocol

from orders.domain.order.events import EventPage, Position


class OrderEvents(Protocol):
    """The events of an ``OrderRepository``'s store, of all processes, in a sequence without gaps.

    An event is returned only when none before it can become visible any more. Forgetting an order
    removes the event of its storing at once, also where its own is not returned yet.
    """

    @abstractmethod
    async def latest_position(self) -> Position:
        """Return a position after all events that can be returned.

        Raises:
            Unavailable: the store is down or too slow.
            Unsupported: the store has no such sequence.
        """

    @abstractmethod
    async def events(self, after: Position, limit: int) -> EventPage:
        """Return at most ``limit`` events after this position.

        Raises:
            Unavailable: the store is down or too slow.
        """
