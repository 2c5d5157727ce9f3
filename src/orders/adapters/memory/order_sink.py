"""Exported orders in this process' memory."""

from collections.abc import Sequence

from orders.domain.order.document import StoredOrder
from orders.domain.ports import OrderSink


class MemoryOrderSink(OrderSink):
    """``documents`` has the exported orders after ``commit``, and is None before."""

    def __init__(self) -> None:
        self.documents: list[bytes] | None = None
        self._written: list[bytes] = []

    async def write(self, orders: Sequence[StoredOrder]) -> None:
        """See ``OrderSink.write``."""
        self._written += [order.document for order in orders]

    async def commit(self) -> None:
        """See ``OrderSink.commit``."""
        self.documents = self._written

    async def discard(self) -> None:
        """See ``OrderSink.discard``."""
        self._written = []
