"""Messages from a real topic: the contract."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.client.topics import TopicAdmin
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.domain.intake.messages import Headers, Origin
from orders.domain.ports import MessageSource
from tests.contracts.message_source import MessageSourceContract, SourceSide
from tests.integration.kafka.other_client import OtherClient


class KafkaSide(SourceSide):
    def __init__(self, settings: KafkaSettings, other_client: OtherClient) -> None:
        self.settings = settings
        self.other_client = other_client
        self.opened: list[KafkaMessageSource] = []

    async def send(
        self,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers = (),
        timestamp: int | None = None,
    ) -> Origin:
        topic = self.settings.topic
        place = await asyncio.to_thread(
            self.other_client.send, topic, value, key, headers=headers, timestamp=timestamp
        )
        return Origin(topic, *place)

    async def send_many(self, values: list[bytes]) -> None:
        await asyncio.to_thread(self.other_client.send_many, self.settings.topic, values)

    async def open(self) -> MessageSource:
        source = KafkaMessageSource(self.settings)
        self.opened.append(source)
        await source.open()
        return source

    async def close(self, source: MessageSource) -> None:
        assert isinstance(source, KafkaMessageSource)
        await source.close()


class TestKafkaMessageSource(MessageSourceContract):
    @pytest.fixture
    async def side(
        self, kafka_settings: KafkaSettings, other_client: OtherClient
    ) -> AsyncIterator[KafkaSide]:
        other_client.create(kafka_settings.topic, 3)  # with the timestamps of senders
        TopicAdmin(kafka_settings).ensure()
        side = KafkaSide(kafka_settings, other_client)
        yield side
        for source in side.opened:
            await source.close()
