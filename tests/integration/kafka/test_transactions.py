"""What transactional producers leave in a topic besides messages, and what compaction takes out."""

import asyncio

from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from tests.contracts.message_source import nothing_comes, receive, values_of
from tests.integration.kafka.other_client import OtherClient
from tests.integration.opened import opened
from tests.waiting import until


def send_in_transactions(
    other_client: OtherClient, topic: str, *transactions: tuple[list[bytes], bool]
) -> None:
    """Each transaction is a list of values to one partition, and whether it is committed."""
    producer = other_client.producer(transactional_id=f"{topic}.producer")
    producer.init_transactions(30)
    for values, is_committed in transactions:
        producer.begin_transaction()
        for value in values:
            producer.produce(topic, value, partition=0)
        producer.flush(30)
        if is_committed:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)


async def test_control_records_are_no_messages_but_are_moved_past(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    transactions = (([b"a", b"b"], True), ([b"c"], False), ([b"d"], True))
    await asyncio.to_thread(send_in_transactions, other_client, topics.topic, *transactions)
    async with opened(KafkaMessageSource(topics)) as source:
        batches = await receive(source, 4)
        # Records of aborted transactions are read like others.
        assert values_of(batches) == [b"a", b"b", b"c", b"d"]
        await source.commit(batches[-1])
        assert await nothing_comes(source)

        async def all_is_committed() -> bool:
            # Four messages and three control records.
            positions = await asyncio.to_thread(
                other_client.committed, topics.group, topics.topic, 1
            )
            return positions == [7]

        await until(all_is_committed, "a commit past the last control record")


async def test_control_records_do_not_block_later_messages(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    async with opened(KafkaMessageSource(topics)) as source:
        await asyncio.to_thread(other_client.send, topics.topic, b"first", partition=0)
        [batch] = await receive(source, 1)
        await source.commit(batch)
        transactions = [([b"in"], False)] * 3
        await asyncio.to_thread(send_in_transactions, other_client, topics.topic, *transactions)
        await asyncio.to_thread(other_client.send, topics.topic, b"last", partition=0)
        batches = await receive(source, 4)
        assert values_of(batches) == [b"in", b"in", b"in", b"last"]
        await source.commit(batches[-1])
    assert await asyncio.to_thread(other_client.committed, topics.group, topics.topic, 1) == [8]


async def test_reads_on_across_what_compaction_has_removed(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    compacted = topics.topic + "-compacted"
    other_client.create(
        compacted,
        cleanup_policy="compact",
        segment_ms="100",
        min_cleanable_dirty_ratio="0.001",
        min_compaction_lag_ms="0",
        max_compaction_lag_ms="100",
        delete_retention_ms="100",
    )
    for number in range(30):
        value = None if number % 10 == 9 else b"%d" % number
        await asyncio.to_thread(other_client.send, compacted, value, b"key-%d" % (number % 3))
        await asyncio.sleep(0.02)

    async def is_compacted() -> bool:
        await asyncio.to_thread(other_client.send, compacted, b"tick", b"tick")
        return len(await asyncio.to_thread(other_client.read_offsets, compacted)) < 25

    await until(is_compacted, "compaction", seconds=60)
    expected = await asyncio.to_thread(other_client.read_offsets, compacted)
    settings = to_kafka_settings(
        Settings(
            kafka_bootstrap=topics.bootstrap,
            kafka_topic=compacted,
            kafka_dlq_topic=topics.dlq_topic,
            kafka_group=topics.group,
        )
    )
    async with opened(KafkaMessageSource(settings)) as source:
        await asyncio.to_thread(other_client.send, compacted, b"last", b"last")
        seen: list[int] = []
        while not seen or seen[-1] <= max(expected):
            [batch] = await receive(source, 1)
            seen += [message.origin.offset for message in batch.messages]
            await source.commit(batch)
        assert seen == sorted(set(seen))
        assert set(seen) >= {offset for offset in expected if offset >= seen[0]}
