"""A cache that is asked for many orders at once."""

from collections.abc import Collection, Mapping

from orders.adapters.coalesced.flights import Flights
from orders.domain.ports import Cache


class CoalescedCache(Cache):
    """Look-ups that wait at the same time become one call of ``cache``.

    ``at_once`` and ``most`` as for ``Flights``.
    """

    def __init__(self, cache: Cache, *, at_once: int = 2, most: int = 128) -> None:
        self._cache = cache
        self._flights = Flights(cache.get, at_once=at_once, most=most)
        self.open = self._flights.open
        self.close = self._flights.close

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``Cache.get``."""
        return await self._flights.get(order_uids)

    async def put(self, documents: Mapping[str, bytes]) -> None:
        """See ``Cache.put``."""
        await self._cache.put(documents)

    async def touch(self, order_uids: Collection[str]) -> list[str]:
        """See ``Cache.touch``."""
        return await self._cache.touch(order_uids)
