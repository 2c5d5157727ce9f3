"""Records the sending of orders, and puts the trace into the headers of their messages."""

from collections.abc import Mapping, Sequence

from opentelemetry.trace import SpanKind

from orders.adapters.traced.messaging import Topic, current_headers
from orders.adapters.traced.spans import Spans
from orders.domain.order.model import Order
from orders.domain.ports import Publisher


class TracedPublisher(Publisher):
    """A ``Publisher`` that records what ``publisher`` does."""

    def __init__(self, publisher: Publisher, spans: Spans, topic: Topic) -> None:
        self._publisher = publisher
        self._spans = spans
        self._name = f"send {topic.name}"
        self._attributes = topic.attributes("send", "send")

    async def publish(
        self, orders: Sequence[Order], headers: Mapping[str, str] | None = None
    ) -> None:
        """See ``Publisher.publish``."""
        attributes = self._attributes | {"messaging.batch.message_count": len(orders)}
        with self._spans.child(self._name, attributes, SpanKind.PRODUCER):
            await self._publisher.publish(orders, {**(headers or {}), **current_headers()})
