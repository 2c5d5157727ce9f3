"""Orders into a topic in memory."""

from collections.abc import Mapping, Sequence

from orders.adapters.memory.topic import MAX_MESSAGE_BYTES, MemoryTopic, size_in_topic
from orders.domain.errors import TooLarge, Unavailable
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.ports import Dependency, Publisher


class MemoryPublisher(Publisher, Dependency):
    """Publishes into a ``MemoryTopic``.

    Attributes:
        available: set it to False to simulate an outage of the topic.
    """

    def __init__(self, topic: MemoryTopic) -> None:
        self.available = True
        self._topic = topic

    async def publish(
        self, orders: Sequence[Order], headers: Mapping[str, str] | None = None
    ) -> None:
        """See ``Publisher.publish``."""
        common = tuple((name, value.encode()) for name, value in (headers or {}).items())
        messages = [(encode(order), order.order_uid.encode()) for order in orders]
        if any(size_in_topic(value, key, common) > MAX_MESSAGE_BYTES for value, key in messages):
            raise TooLarge("an order is larger than the topic accepts")
        await self.check()
        for value, key in messages:
            self._topic.append(value, key, common)

    async def check(self) -> None:
        """See ``Dependency.check``."""
        if not self.available:
            raise Unavailable("the topic is down")
