"""Opens Kafka clients for a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.message_source import KafkaMessageSource

Client = TypeVar("Client", KafkaMessageSource, KafkaProducerClient)


@asynccontextmanager
async def opened(client: Client) -> AsyncIterator[Client]:
    """Open it, and close it afterwards."""
    await client.open()
    try:
        yield client
    finally:
        await client.close()
