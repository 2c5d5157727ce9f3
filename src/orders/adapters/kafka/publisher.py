"""Publishes orders to the topic."""

import asyncio
from collections.abc import Mapping, Sequence

from orders.adapters.kafka.client.producer import SENT_AT_ONCE, KafkaProducerClient, Outgoing
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.domain.errors import Overloaded, TooLarge
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.ports import Dependency, Publisher

MOST_WAITING = 20_000
"""Orders that may wait for the brokers at a time, of several calls: each takes some 10 KB."""

_FEW = 10
"""Orders of a call that is made however many wait: connections have bounds of their own."""


class KafkaPublisher(Publisher, Dependency):
    """Publishes through a shared producer."""

    def __init__(self, client: KafkaProducerClient, settings: KafkaSettings) -> None:
        self._client = client
        self._topic = settings.topic
        self._waiting = 0

    async def publish(
        self, orders: Sequence[Order], headers: Mapping[str, str] | None = None
    ) -> None:
        """See ``Publisher.publish``; fails after the producer's ``SEND_TIMEOUT``.

        Sizes are compared before compression: whether an order is accepted does not depend on how
        well it compresses.

        Raises:
            Overloaded: too many orders wait for the brokers; none was sent.
        """
        number = len(orders)
        if number > _FEW:
            waiting = self._waiting + self._client.given_up
            if waiting and waiting + number > MOST_WAITING:
                raise Overloaded("too many orders wait for the brokers")
        self._waiting += number
        try:
            if number <= SENT_AT_ONCE:
                messages = self._messages(orders, headers or {})
            else:  # tens of thousands take a tenth of a second
                messages = await asyncio.to_thread(self._messages, orders, headers or {})
            await self._client.send(self._topic, messages)
        finally:
            self._waiting -= number

    def _messages(self, orders: Sequence[Order], headers: Mapping[str, str]) -> list[Outgoing]:
        common = tuple((name, value.encode()) for name, value in headers.items())
        messages = [Outgoing(encode(order), order.order_uid.encode(), common) for order in orders]
        if any(message.size > self._client.limits.source for message in messages):
            raise TooLarge("an order is larger than the topic accepts")
        return messages

    async def check(self) -> None:
        """See ``Dependency.check``."""
        await self._client.check()
