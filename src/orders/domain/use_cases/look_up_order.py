"""Find one order by its order_uid."""

from orders.domain.errors import NotFound
from orders.domain.ports import CachedDocument, LocalCache, OrderReader

NO_ORDER = "no order with this order_uid"


class LookUpOrder:
    """Finds an order in the local cache, else by asking ``orders``."""

    def __init__(self, orders: OrderReader, local: LocalCache) -> None:
        self._orders = orders
        self._local = local

    def peek(self, order_uid: str) -> CachedDocument | None:
        """The order, if this process has it; None does not mean that it does not exist."""
        return self._local.peek(order_uid)

    async def __call__(self, order_uid: str) -> bytes:
        """The canonical bytes of the order; ``peek`` had none.

        Raises:
            NotFound: there is none.
            Unavailable: the store is down, and no cache holds it.
        """
        found = (await self._orders.get((order_uid,))).get(order_uid)
        if found is None:
            raise NotFound(NO_ORDER)
        return found
