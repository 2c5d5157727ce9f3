"""Fill the cache with the newest orders, as a start."""

from orders.domain.order.queries import OrderQuery
from orders.domain.ports import Cache, OrderRepository


class WarmUpCache:
    """Fills the cache with the newest orders; ``capacity`` is the cache's, in orders."""

    def __init__(self, repository: OrderRepository, cache: Cache, capacity: int) -> None:
        self._repository = repository
        self._cache = cache
        self._capacity = capacity

    async def __call__(self) -> int:
        """Put the newest orders, the newest as most recently used; returns how many.

        Raises:
            Unavailable: the store or the cache is down.
        """
        as_of = self._cache.position
        page = await self._repository.page(OrderQuery(), self._capacity)
        if page.orders:
            documents = {o.order_uid: o.document for o in reversed(page.orders)}
            await self._cache.put(documents, min(as_of, page.as_of))
        return len(page.orders)
