"""List orders, newest first: one page, or all of them bit by bit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from weakref import WeakValueDictionary

from orders.domain.order.document import StoredOrder
from orders.domain.order.queries import Cursor, OrderQuery, Page
from orders.domain.order.tombstones import RecentTombstones
from orders.domain.ports import OrderRepository
from orders.domain.use_cases.turns import turn_within

FIRST_CHUNK = 50
"""Orders that a stream reads first, so that its reader has something in milliseconds."""

CHUNK = 200
"""Orders that it reads at once from then on; about 0.2 MB, so memory stays flat whatever the total.
Larger ones are somewhat faster, and hold up what else the process has to do."""

READ_AT_ONCE = 3
"""Pages, and chunks of streams, that are read at the same time. With more, those who look a single
order up would find no connection of the pool, and no processor of the database."""

OF_ONE_CLIENT = 2
"""Of these, the most that one client has: its others wait before they are in the way of anybody."""

LONGEST_WAIT = 5.0
"""Seconds that a page waits for its turn; many a client that has waited longer is gone."""


class ListOrders:
    """Lists orders, by pages or as a stream.

    ``recent``: the tombstones that this process knows of, which a standby may lack.
    """

    def __init__(
        self,
        repository: OrderRepository,
        recent: RecentTombstones,
        *,
        longest_wait: float = LONGEST_WAIT,
    ) -> None:
        self._repository = repository
        self._recent = recent
        self._longest_wait = longest_wait
        self._turns = asyncio.Semaphore(READ_AT_ONCE)
        self._turns_of_clients = WeakValueDictionary[str, asyncio.Semaphore]()

    async def page(
        self, query: OrderQuery, limit: int, after: Cursor | None = None, *, client: str = ""
    ) -> Page:
        """At most ``limit`` orders after ``after``. ``client`` says whose turn it is to be.

        Raises:
            Unavailable: the store is down.
            Overloaded: too many others wait.
        """
        async with self._turn(client, self._longest_wait):
            return await self._read(query, limit, after)

    async def stream(
        self, query: OrderQuery, *, client: str = ""
    ) -> AsyncIterator[tuple[StoredOrder, ...]]:
        """All orders that meet ``query``, in chunks, none empty.

        Nothing is held between chunks, so a slow reader holds up nobody. An order
        that is stored meanwhile is in it or not. It raises as ``page`` does.
        """
        # It is no more than a page, and tells at once of failures.
        page = await self.page(query, FIRST_CHUNK, client=client)
        while True:
            chunk, after = [page.orders], page.next
            del page
            if chunk[0]:
                yield chunk.pop()  # it is not kept here while its reader takes it
            if after is None:
                return
            async with self._turn(client):
                page = await self._read(query, CHUNK, after)

    async def _read(self, query: OrderQuery, limit: int, after: Cursor | None) -> Page:
        page = await self._repository.page(query, limit, after)
        self._recent.require(page.as_of)
        gone = self._recent.forgotten_since
        left = (order for order in page.orders if not gone(order.order_uid, page.as_of))
        return Page(tuple(left), page.next, page.as_of)

    def _turn(
        self, client: str, longest_wait: float | None = None
    ) -> AbstractAsyncContextManager[None]:
        own = self._turns_of_clients.setdefault(client, asyncio.Semaphore(OF_ONE_CLIENT))
        return turn_within(longest_wait, "too many lists are read at a time", own, self._turns)
