"""Find one order by its order_uid."""

from orders.domain.errors import NotFound
from orders.domain.ports import AtHand, Held, NothingAtHand, OrderReader

_NOTHING = NothingAtHand()


class LookUpOrder:
    """The use case. ``held`` is what this process has of the orders by itself."""

    def __init__(self, orders: OrderReader, held: AtHand = _NOTHING) -> None:
        self._orders = orders
        self._held = held

    def at_hand(self, order_uid: str) -> Held | None:
        """The order where it can be told without waiting; else it has to be asked for."""
        return self._held.at_hand(order_uid)

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
