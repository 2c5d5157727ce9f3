"""List orders, newest first: one page, or all of them bit by bit."""

from collections.abc import AsyncIterator

from orders.domain.document import StoredOrder
from orders.domain.ports import OrderRepository
from orders.domain.queries import Cursor, OrderQuery, Page

CHUNK = 500
"""Orders read at once while streaming; about 0.6 MB, so memory stays flat whatever the total."""


class ListOrders:
    """The use case."""

    def __init__(self, repository: OrderRepository) -> None:
        self._repository = repository

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        """At most ``limit`` orders after ``after``. Raises Unavailable."""
        return await self._repository.page(query, limit, after)

    async def stream(self, query: OrderQuery) -> AsyncIterator[tuple[StoredOrder, ...]]:
        """All orders that meet ``query``, in chunks, none empty.

        Nothing of the store is held between chunks, so a slow reader holds up nobody. An order
        that is stored meanwhile is in it or not. Raises Unavailable.
        """
        after: Cursor | None = None
        while True:
            page = await self._repository.page(query, CHUNK, after)
            if page.orders:
                yield page.orders
            if page.next is None:
                return
            after = page.next
