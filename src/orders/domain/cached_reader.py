"""A reader with a cache before it: a decorator of ``OrderReader``."""

from collections.abc import Collection
from contextlib import suppress

from orders.domain.errors import Unavailable
from orders.domain.ports import Cache, OrderReader


class CachedReader(OrderReader):
    """Asks the cache first, the reader for what is missing, and puts that into the cache.

    A cache that is away is as good as an empty one.
    """

    def __init__(self, reader: OrderReader, cache: Cache) -> None:
        self._reader = reader
        self._cache = cache

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``OrderReader.get``; raises Unavailable only for what the cache does not hold."""
        try:
            found = await self._cache.get(order_uids)
        except Unavailable:
            return await self._reader.get(order_uids)
        missing = [uid for uid in order_uids if uid not in found]
        if not missing:
            return found
        read = await self._reader.get(missing)
        if read:
            with suppress(Unavailable):  # the answer is known all the same
                await self._cache.put(read)
        return found | read
