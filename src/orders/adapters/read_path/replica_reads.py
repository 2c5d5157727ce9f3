"""Reads from a replica of the repository, to relieve the primary."""

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import TypeVar

from orders.adapters.read_path.circuit_breaker import CircuitBreaker
from orders.domain.errors import OrdersError, Unavailable
from orders.domain.order.model import Order
from orders.domain.order.queries import Cursor, FoundDocuments, OrderQuery, Page
from orders.domain.ports import Cache, OrderRepository, SaveReport

_Found = TypeVar("_Found", FoundDocuments, Page)

_PAUSE = 0.25
"""Seconds for which a replica is left out that has not forgotten yet what it should."""


class ReplicaReads(OrderRepository):
    """Reads from ``replica``, and from ``primary`` what the replica lacks or cannot return.

    A replica lags behind, so an order that it lacks may be stored; a page of it may lack the newest
    orders. A replica that is down or too slow is left out for a while, and so is one that has not
    forgotten yet what this process knows to be forgotten, by the position of ``cache``. What was
    read says so itself: the next connection may lead to another server.
    """

    def __init__(
        self,
        primary: OrderRepository,
        replica: OrderRepository,
        cache: Cache,
        *,
        breaker: CircuitBreaker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._primary = primary
        self._replica = replica
        self._cache = cache
        self._clock = clock
        self._left_out_until = 0.0
        self._breaker = breaker or CircuitBreaker("the replica", timeout=2.0)

    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        """See ``OrderRepository.get``."""
        found = FoundDocuments()
        with suppress(OrdersError):  # the primary has it, or fails likewise
            found = await self._of_replica(lambda: self._replica.get(order_uids))
        missing = [uid for uid in order_uids if uid not in found]
        if not missing:
            return found
        try:
            rest = await self._primary.get(missing)
        except Unavailable as failure:
            failure.found = {**found, **failure.found}
            raise
        return FoundDocuments(found | rest, min(found.as_of, rest.as_of))

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        """See ``OrderRepository.page``."""
        with suppress(OrdersError):
            return await self._of_replica(lambda: self._replica.page(query, limit, after))
        return await self._primary.page(query, limit, after)

    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        """See ``OrderRepository.save_many``; only the primary can."""
        return await self._primary.save_many(orders)

    async def are_stored(self, orders: Sequence[Order]) -> list[bool | None]:
        """See ``OrderRepository.are_stored``; a replica may lack them."""
        return await self._primary.are_stored(orders)

    async def _of_replica(self, read: Callable[[], Awaitable[_Found]]) -> _Found:
        """Return what the replica has read, unless it lacks tombstones that are known by now.

        Raises:
            OrdersError: it does, or has lately, or cannot be read.
        """
        known = self._cache.position
        if self._clock() >= self._left_out_until:
            found = await self._breaker.call(read)
            if found.as_of >= known:
                return found
            self._left_out_until = self._clock() + _PAUSE
        raise Unavailable("the replica is behind")
