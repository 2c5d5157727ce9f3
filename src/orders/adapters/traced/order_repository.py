"""Records reads and writes of the database, and look-ups as a whole."""

from collections.abc import Collection, Sequence
from weakref import WeakSet

from opentelemetry.trace import Span, SpanKind, get_current_span

from orders.adapters.traced.look_ups import LookUps
from orders.adapters.traced.spans import Attributes, Spans, database_attributes
from orders.domain.order.model import Order
from orders.domain.order.queries import Cursor, FoundDocuments, OrderQuery, Page
from orders.domain.ports import OrderReader, OrderRepository, SaveReport


class TracedReader(OrderReader):
    """An ``OrderReader`` that records the look-ups of ``reader``, time in queues included."""

    def __init__(self, reader: OrderReader, spans: Spans, look_ups: LookUps) -> None:
        self._reader = reader
        self._spans = spans
        self._look_ups = look_ups

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``OrderReader.get``."""
        with self._spans.child("look up orders") as span:
            if not span.is_recording():
                return await self._reader.get(order_uids)
            with self._look_ups.waiting(order_uids, span):
                return await self._reader.get(order_uids)


class TracedRepository(OrderRepository):
    """An ``OrderRepository`` that records what ``repository`` does.

    ``system`` is the database's name in the semantic conventions.
    """

    def __init__(
        self, repository: OrderRepository, spans: Spans, look_ups: LookUps, system: str
    ) -> None:
        self._repository = repository
        self._spans = spans
        self._look_ups = look_ups
        self._system = system
        self._listed: WeakSet[Span] = WeakSet()

    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        """See ``OrderRepository.save_many``."""
        attributes = self._attributes("save", len(orders))
        with self._spans.child("save orders", attributes, SpanKind.CLIENT):
            return await self._repository.save_many(orders)

    async def are_stored(self, orders: Sequence[Order]) -> list[bool | None]:
        """See ``OrderRepository.are_stored``."""
        attributes = self._attributes("compare", len(orders))
        with self._spans.child("compare orders", attributes, SpanKind.CLIENT):
            return await self._repository.are_stored(orders)

    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        """See ``OrderRepository.get``."""
        callers = self._look_ups.of(order_uids)
        attributes = self._attributes("get", len(order_uids))
        with self._spans.shared(callers, "get orders", attributes, SpanKind.CLIENT) as span:
            found = await self._repository.get(order_uids)
            span.set_attribute("db.response.returned_rows", len(found))
            return found

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        """See ``OrderRepository.page``; of a long list the first call is recorded."""
        request = get_current_span()
        if request in self._listed:
            return await self._repository.page(query, limit, after)
        self._listed.add(request)
        with self._spans.child("list orders", self._attributes("list"), SpanKind.CLIENT) as span:
            page = await self._repository.page(query, limit, after)
            span.set_attribute("db.response.returned_rows", len(page.orders))
            return page

    def _attributes(self, operation: str, size: int = 1) -> Attributes:
        return database_attributes(self._system, operation, size) | {"db.collection.name": "orders"}
