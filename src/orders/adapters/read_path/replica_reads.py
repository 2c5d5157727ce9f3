"""Reads from a replica of the repository, to relieve the primary."""

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import TypeVar

from orders.adapters.read_path.circuit_breaker import CircuitBreaker
from orders.domain.errors import OrdersError, Unavailable
from orders.domain.order.document import StoredOrder
from orders.domain.order.model import Order
from orders.domain.order.queries import Cursor, OrderQuery, Page
from orders.domain.ports import Cache, Erasure, OrderRepository, SaveReport

_T = TypeVar("_T")

_ASK_INTERVAL = 0.25
"""Seconds between two questions to a replica for its latest tombstone."""


class ReplicaReads(OrderRepository):
    """Reads from ``replica``, and from ``primary`` what the replica lacks or cannot return.

    A replica lags behind, so an order that it lacks may be stored; a page of it may lack the newest
    orders. A replica that is down or too slow is left out for a while, and so is one that has not
    forgotten yet what this process knows to be forgotten, by the position of ``cache``.
    """

    def __init__(
        self,
        primary: OrderRepository,
        replica: OrderRepository,
        of_replica: Erasure,
        cache: Cache,
        *,
        breaker: CircuitBreaker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._primary = primary
        self._replica = replica
        self._of_replica = of_replica
        self._cache = cache
        self._clock = clock
        self._replica_position = 0
        self._ask_at = 0.0
        self._breaker = breaker or CircuitBreaker("the replica", timeout=2.0)

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``OrderReader.get``."""
        found: dict[str, bytes] = {}
        if not await self._has_forgotten():
            return await self._primary.get(order_uids)
        try:
            found = await self._breaker.call(lambda: self._replica.get(order_uids))
        except Unavailable as failure:
            found |= failure.found
        except OrdersError:
            pass  # the primary has it, or fails likewise
        missing = [uid for uid in order_uids if uid not in found]
        if not missing:
            return found
        try:
            return found | await self._primary.get(missing)
        except Unavailable as failure:
            failure.found = {**found, **failure.found}
            raise

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        """See ``OrderRepository.page``."""
        return await self._first(lambda store: store.page(query, limit, after))

    async def latest(self, amount: int) -> list[StoredOrder]:
        """See ``OrderRepository.latest``."""
        return await self._first(lambda store: store.latest(amount))

    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        """See ``OrderRepository.save_many``; only the primary can."""
        return await self._primary.save_many(orders)

    async def are_stored(self, orders: Sequence[Order]) -> list[bool | None]:
        """See ``OrderRepository.are_stored``; a replica may lack them."""
        return await self._primary.are_stored(orders)

    async def _first(self, read: Callable[[OrderRepository], Awaitable[_T]]) -> _T:
        with suppress(OrdersError):
            if await self._has_forgotten():
                return await self._breaker.call(lambda: read(self._replica))
        return await read(self._primary)

    async def _has_forgotten(self) -> bool:
        """Whether the replica has all tombstones that this process knows of."""
        known = self._cache.position
        if self._replica_position < known and self._clock() >= self._ask_at:
            self._ask_at = self._clock() + _ASK_INTERVAL
            with suppress(OrdersError):
                self._replica_position = await self._breaker.call(self._of_replica.latest_position)
        return self._replica_position >= known
