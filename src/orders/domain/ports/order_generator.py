"""Where made-up orders come from."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from orders.domain.order.model import Order


class OrderGenerator(Protocol):
    """Makes orders that look like real ones and whose sums add up."""

    @abstractmethod
    def generate(self, amount: int) -> Sequence[Order]:
        """``amount`` new valid orders, no two with the same order_uid."""
