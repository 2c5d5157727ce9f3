"""Orders into a real topic: the contract."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.publisher import KafkaPublisher
from orders.domain.intake.messages import Message
from tests.contracts.publisher import PublisherContract, PublisherSide
from tests.integration.kafka.other_client import OtherClient


class KafkaSide(PublisherSide):
    def __init__(
        self, settings: KafkaSettings, client: KafkaProducerClient, other_client: OtherClient
    ) -> None:
        self.topic = settings.topic
        self.publisher = KafkaPublisher(client, settings)
        self.other_client = other_client

    async def arrived(self) -> list[Message]:
        return await asyncio.to_thread(self.other_client.read_all, self.topic)


class TestKafkaPublisher(PublisherContract):
    @pytest.fixture
    async def side(
        self, topics: KafkaSettings, other_client: OtherClient
    ) -> AsyncIterator[KafkaSide]:
        client = KafkaProducerClient(topics)
        await client.open()
        yield KafkaSide(topics, client, other_client)
        await client.close()
