"""List orders, newest first: one page, or all of them bit by bit."""

import asyncio
from collections.abc import AsyncIterator

from orders.domain.order.document import StoredOrder
from orders.domain.order.queries import Cursor, OrderQuery, Page
from orders.domain.ports import OrderRepository

FIRST_CHUNK = 50
"""Orders that a stream reads first, so that its reader has something in milliseconds."""

CHUNK = 200
"""Orders that it reads at once from then on; about 0.2 MB, so memory stays flat whatever the total.
Larger ones are somewhat faster, and hold up what else the process has to do."""

READING_AT_ONCE = 2
"""Streams that read their next chunk at the same time. Ten that did left no processor of the
database, and few of its connections, to those who look a single order up."""


class ListOrders:
    """Lists orders, by pages or as a stream."""

    def __init__(self, repository: OrderRepository) -> None:
        self._repository = repository
        self._turns = asyncio.Semaphore(READING_AT_ONCE)

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        """At most ``limit`` orders after ``after``. Raises Unavailable."""
        return await self._repository.page(query, limit, after)

    async def stream(self, query: OrderQuery) -> AsyncIterator[tuple[StoredOrder, ...]]:
        """All orders that meet ``query``, in chunks, none empty.

        Nothing of the store is held between chunks, so a slow reader holds up nobody. An order
        that is stored meanwhile is in it or not. Raises Unavailable.
        """
        # Without waiting for a turn: it is no more than a page, and tells at once of failures.
        page = await self._repository.page(query, FIRST_CHUNK)
        while True:
            if page.orders:
                yield page.orders
            if page.next is None:
                return
            async with self._turns:
                page = await self._repository.page(query, CHUNK, page.next)
