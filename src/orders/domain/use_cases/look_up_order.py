"""Find one order by its order_uid."""

from collections.abc import Callable

from orders.domain.errors import NotFound
from orders.domain.ports import AtHand, Held, NothingAtHand, OrderReader

NO_ORDER = "no order with this order_uid"

_NOTHING = NothingAtHand()


class LookUpOrder:
    """The use case. ``held`` is what this process has of the orders by itself."""

    def __init__(self, orders: OrderReader, held: AtHand = _NOTHING) -> None:
        self._orders = orders
        self.at_hand: Callable[[str], Held | None] = held.at_hand
        """The order where it can be told without waiting; else it has to be asked for."""

    async def __call__(self, order_uid: str) -> bytes:
        """The canonical bytes of the order.

        Raises:
            NotFound: there is none.
            Unavailable: the store is away, and no cache holds it.
        """
        if held := self.at_hand(order_uid):
            return held.document
        found = await self._orders.get((order_uid,))
        try:
            return found[order_uid]
        except KeyError:
            raise NotFound(NO_ORDER) from None
