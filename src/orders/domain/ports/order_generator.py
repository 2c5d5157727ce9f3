"""Generates random orders."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from orders.domain.order.model import Order


class OrderGenerator(Protocol):
    """Generates orders that look real and whose sums are consistent."""

    @abstractmethod
    def generate(self, amount: int) -> Sequence[Order]:
        """Return ``amount`` new valid orders with different order_uids."""
