"""The events of orders in this process' memory."""

from itertools import islice

from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.order.events import EventPage, Position
from orders.domain.ports import OrderEvents


class MemoryOrderEvents(OrderEvents):
    """The events of a ``MemoryOrderRepository``."""

    def __init__(self, repository: MemoryOrderRepository) -> None:
        self._repository = repository

    async def latest_position(self) -> Position:
        """See ``OrderEvents.latest_position``."""
        self._repository.require_available()
        return self._repository.latest_position

    async def events(self, after: Position, limit: int) -> EventPage:
        """See ``OrderEvents.events``."""
        self._repository.require_available()
        later = (event for event in self._repository.events if event.position > after)
        return EventPage(list(islice(later, limit)), self._repository.latest_tombstone)
