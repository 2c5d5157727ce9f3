"""List orders, newest first: one page, or all of them bit by bit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from weakref import WeakValueDictionary

from orders.domain.errors import Overloaded
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

PAGES_AT_ONCE = 4
"""Pages, and first chunks of streams, that are read at the same time. With more, 60 clients that
ask for the largest pages would have all connections of the pool, and who looks a single order up
would find the store unavailable."""

PAGES_OF_ONE_CLIENT = 2
"""Of these, the most that one client has: its others wait before they are in the way of anybody."""

LONGEST_WAIT = 5.0
"""Seconds that a page waits for its turn; many a client that has waited longer is gone."""


class ListOrders:
    """Lists orders, by pages or as a stream."""

    def __init__(self, repository: OrderRepository, *, longest_wait: float = LONGEST_WAIT) -> None:
        self._repository = repository
        self._longest_wait = longest_wait
        self._turns = asyncio.Semaphore(READING_AT_ONCE)
        self._turns_of_pages = asyncio.Semaphore(PAGES_AT_ONCE)
        self._turns_of_clients = WeakValueDictionary[str, asyncio.Semaphore]()

    async def page(
        self, query: OrderQuery, limit: int, after: Cursor | None = None, *, client: str = ""
    ) -> Page:
        """At most ``limit`` orders after ``after``. ``client`` says whose turn it is to be.

        Raises:
            Unavailable: the store is down.
            Overloaded: too many others wait.
        """
        own = self._turns_of_clients.setdefault(client, asyncio.Semaphore(PAGES_OF_ONE_CLIENT))
        async with AsyncExitStack() as turn:
            try:
                async with asyncio.timeout(self._longest_wait):
                    await turn.enter_async_context(own)
                    await turn.enter_async_context(self._turns_of_pages)
            except TimeoutError:
                raise Overloaded("too many lists are read at a time") from None
            return await self._repository.page(query, limit, after)

    async def stream(
        self, query: OrderQuery, *, client: str = ""
    ) -> AsyncIterator[tuple[StoredOrder, ...]]:
        """All orders that meet ``query``, in chunks, none empty.

        Nothing of the store is held between chunks, so a slow reader holds up nobody. An order
        that is stored meanwhile is in it or not. It raises as ``page`` does.
        """
        # It is no more than a page, and tells at once of failures.
        page = await self.page(query, FIRST_CHUNK, client=client)
        while True:
            if page.orders:
                yield page.orders
            if page.next is None:
                return
            async with self._turns:
                page = await self._repository.page(query, CHUNK, page.next)
