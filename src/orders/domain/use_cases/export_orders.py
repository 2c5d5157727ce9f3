"""Exports the stored orders that match a query."""

from collections.abc import Callable

from msgspec import Struct

from orders.domain.order.queries import Cursor, OrderQuery
from orders.domain.ports import OrderRepository, OrderSink

CHUNK = 1_000
"""Orders that are read at once; nothing of the store is held while they are written."""


class ExportReport(Struct, frozen=True):
    """The number of orders; if it was stopped before the end, the sink has none."""

    orders: int
    is_stopped: bool = False


class ExportOrders:
    """Writes orders to a sink, newest first."""

    def __init__(self, repository: OrderRepository) -> None:
        self._repository = repository

    async def __call__(
        self,
        query: OrderQuery,
        sink: OrderSink,
        *,
        progress: Callable[[int], None] = lambda _: None,
        wants_stop: Callable[[], bool] = lambda: False,
    ) -> ExportReport:
        """Export; an order that is stored or forgotten meanwhile is among them or not.

        Args:
            query: which orders.
            sink: where to; it is committed at the end, or else discarded.
            progress: called with the number of orders after each chunk.
            wants_stop: called before each chunk.

        Raises:
            Invalid: the sink does not take them.
            Unavailable: the store is down, or the sink cannot be written.
        """
        number = 0
        after: Cursor | None = None
        try:
            while not wants_stop():
                page = await self._repository.page(query, CHUNK, after)
                await sink.write(page.orders)
                number += len(page.orders)
                progress(number)
                after = page.next
                if after is None:
                    await sink.commit()
                    return ExportReport(number)
            return ExportReport(number, is_stopped=True)
        finally:
            await sink.discard()
