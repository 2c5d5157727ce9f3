"""The topic is deleted while it is read, and recreated under the same name."""

import asyncio

import msgspec
from confluent_kafka.admin import AdminClient

from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.domain.intake.messages import Batch
from tests.contracts.message_source import receive, values_of
from tests.integration.kafka.other_client import TIMEOUT, OtherClient
from tests.integration.opened import opened
from tests.waiting import until, works


def delete(topic: str, bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    [future] = admin.delete_topics([topic]).values()
    future.result(TIMEOUT)


async def test_the_new_topic_is_read_from_its_beginning(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    settings = msgspec.structs.replace(topics, topic=topics.topic + "-again", partitions=1)
    async with opened(KafkaMessageSource(settings)) as source:
        await until(lambda: works(source), "joining")
        await asyncio.to_thread(other_client.send_many, settings.topic, [b"old"] * 5)
        [*_, last] = await receive(source, 5)
        await source.commit(last)
        waiting = asyncio.create_task(source.receive())
        await asyncio.to_thread(delete, settings.topic, settings.bootstrap)
        await until(lambda: _is_missing(source), "the source noticing", seconds=15)
        other_client.create(settings.topic)
        # More than it had read of the old one: a position from then would have a meaning.
        values = [b"%d" % number for number in range(9)]
        await asyncio.to_thread(other_client.send_many, settings.topic, values, partition=0)
        batches: list[Batch] = []
        async with asyncio.timeout(30):
            while len(values_of(batches)) < len(values):
                batches.append(await waiting)
                waiting = asyncio.create_task(source.receive())
        waiting.cancel()
        assert values_of(batches) == values
        await source.commit(batches[-1])
        committed = await asyncio.to_thread(
            other_client.committed, settings.group, settings.topic, 1
        )
        assert committed == [9]


async def _is_missing(source: KafkaMessageSource) -> bool:
    return not await works(source)
