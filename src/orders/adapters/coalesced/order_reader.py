"""A reader that is asked for many orders at once."""

from collections.abc import Collection

from orders.adapters.coalesced.flights import Flights
from orders.domain.ports import OrderReader


class CoalescedReader(OrderReader):
    """Look-ups that wait at the same time become one question to ``reader``.

    ``at_once`` and ``most`` as for ``Flights``.
    """

    def __init__(self, reader: OrderReader, *, at_once: int = 2, most: int = 128) -> None:
        self._flights = Flights(reader.get, at_once=at_once, most=most)
        self.open = self._flights.open
        self.close = self._flights.close

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``OrderReader.get``."""
        return await self._flights.get(order_uids)
