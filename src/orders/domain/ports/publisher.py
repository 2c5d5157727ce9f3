"""The way into the topic."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

from orders.domain.order.model import Order


class Publisher(Protocol):
    """Sends orders to the topic, one a message, with the order_uid as key."""

    @abstractmethod
    async def publish(
        self, orders: Sequence[Order], headers: Mapping[str, str] | None = None
    ) -> None:
        """Send these orders and wait until all replicas have them.

        ``headers`` go along with every message.

        Raises:
            TooLarge: an order is larger than the topic takes; none was sent.
            Unavailable: not all were confirmed in time; some may have been sent, and sending all of
                them again is safe.
        """
