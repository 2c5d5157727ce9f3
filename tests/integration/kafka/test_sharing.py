"""What is slow to store in some partitions does not hold up the others."""

import asyncio
import random

import pytest

from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.message_source import KafkaMessageSource
from tests.integration.kafka.other_client import OtherClient
from tests.integration.opened import opened


@pytest.mark.parametrize(
    "junk", [b" " * 1_300_000, random.Random(1).randbytes(650_000)], ids=["packed well", "not"]
)
async def test_an_order_comes_soon_beside_partitions_full_of_junk(
    kafka_settings: KafkaSettings, other_client: OtherClient, junk: bytes
) -> None:
    topic = kafka_settings.topic
    other_client.create(topic, 6)
    packing = other_client.producer(compression_type="zstd", message_max_bytes=2_000_000)
    for partition in range(5):
        many = [junk] * 30
        await asyncio.to_thread(other_client.send_many, topic, many, packing, partition=partition)
    batches = []
    async with opened(KafkaMessageSource(kafka_settings)) as source:
        await source.commit(await source.receive())
        for number in range(10):
            value = b"%d" % number
            await asyncio.to_thread(other_client.send, topic, value, partition=5)
            values: list[bytes | None] = []
            batches.append(0)
            while value not in values:
                batch = await source.receive()
                await source.commit(batch)
                values = [message.value for message in batch.messages]
                batches[-1] += 1
    assert max(batches) <= 10, batches
