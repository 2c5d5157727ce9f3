"""Reads from a replica of the repository, to relieve the primary."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import TypeVar

from orders.adapters.read_path.circuit_breaker import CircuitBreaker
from orders.domain.errors import OrdersError, Unavailable
from orders.domain.order.document import StoredOrder
from orders.domain.order.model import Order
from orders.domain.order.queries import Cursor, OrderQuery, Page
from orders.domain.ports import OrderRepository, SaveReport

_T = TypeVar("_T")


class ReplicaReads(OrderRepository):
    """Reads from ``replica``, and from ``primary`` what the replica lacks or cannot return.

    A replica lags behind, so an order that it lacks may be stored; a page of it may lack the newest
    orders. A replica that is down or too slow is left out for a while.
    """

    def __init__(
        self,
        primary: OrderRepository,
        replica: OrderRepository,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self._primary = primary
        self._replica = replica
        self._breaker = breaker or CircuitBreaker("the replica", timeout=2.0)

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``OrderReader.get``."""
        found: dict[str, bytes] = {}
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
            raise Unavailable(str(failure), failure.since, {**found, **failure.found}) from failure

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        """See ``OrderRepository.page``."""
        return await self._first(lambda store: store.page(query, limit, after))

    async def latest(self, amount: int) -> list[StoredOrder]:
        """See ``OrderRepository.latest``."""
        return await self._first(lambda store: store.latest(amount))

    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        """See ``OrderRepository.save_many``; only the primary can."""
        return await self._primary.save_many(orders)

    async def _first(self, read: Callable[[OrderRepository], Awaitable[_T]]) -> _T:
        with suppress(OrdersError):
            return await self._breaker.call(lambda: read(self._replica))
        return await read(self._primary)
