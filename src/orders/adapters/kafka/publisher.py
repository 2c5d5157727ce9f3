"""Publishes orders to the topic."""

import asyncio
from collections.abc import Mapping, Sequence

from orders.adapters.kafka.client.producer import SENT_AT_ONCE, KafkaProducerClient, Outgoing
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.domain.errors import Overloaded, TooLarge
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.ports import Dependency, Publisher

MOST_GIVEN_UP = 16 * 2**20
"""Bytes that the client may still have of calls which have given up waiting for the brokers."""


class KafkaPublisher(Publisher, Dependency):
    """Publishes through a shared producer."""

    def __init__(self, client: KafkaProducerClient, settings: KafkaSettings) -> None:
        self._client = client
        self._topic = settings.topic

    async def publish(
        self, orders: Sequence[Order], headers: Mapping[str, str] | None = None
    ) -> None:
        """See ``Publisher.publish``; fails after the producer's ``SEND_TIMEOUT``.

        Sizes are compared before compression: whether an order is accepted does not depend on how
        well it compresses.

        Raises:
            Overloaded: too many orders wait for the brokers; none was sent.
        """
        if self._client.given_up > MOST_GIVEN_UP:
            raise Overloaded("too many orders wait for the brokers")
        if len(orders) <= SENT_AT_ONCE:
            messages = self._messages(orders, headers or {})
        else:  # tens of thousands take a tenth of a second
            messages = await asyncio.to_thread(self._messages, orders, headers or {})
        await self._client.send(self._topic, messages)

    def _messages(self, orders: Sequence[Order], headers: Mapping[str, str]) -> list[Outgoing]:
        common = tuple((name, value.encode()) for name, value in headers.items())
        messages = [Outgoing(encode(order), order.order_uid.encode(), common) for order in orders]
        if any(message.size > self._client.limits.source for message in messages):
            raise TooLarge("an order is larger than the topic accepts")
        return messages

    async def check(self) -> None:
        """See ``Dependency.check``."""
        await self._client.check()
