"""Find one order by its order_uid."""

from orders.domain.errors import NotFound
from orders.domain.ports import OrderReader


class LookUpOrder:
    """The use case."""

    def __init__(self, orders: OrderReader) -> None:
        self._orders = orders

    async def __call__(self, order_uid: str) -> bytes:
        """The canonical bytes of the order.

        Raises:
            NotFound: there is none.
            Unavailable: the store is away, and no cache holds it.
        """
        found = await self._orders.get((order_uid,))
        try:
            return found[order_uid]
        except KeyError:
            raise NotFound("no order with this order_uid") from None
