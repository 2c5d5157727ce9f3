"""The topic of orders, as written by the API."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

from orders.domain.order.model import Order


class Publisher(Protocol):
    """Sends orders to the topic, one per message, with the order_uid as key."""

    @abstractmethod
    async def publish(
        self, orders: Sequence[Order], headers: Mapping[str, str] | None = None
    ) -> None:
        """Send orders; returns when all replicas have them.

        Every message has ``headers``.

        Raises:
            TooLarge: an order is larger than the topic accepts; none was sent.
            Unavailable: not all were acknowledged in time; some may have been sent, and sending all
                of them again is safe.
        """
