"""The client fails in the middle of reading: nothing is skipped, nothing comes twice."""

import asyncio
import itertools
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kafka.errors import KafkaError, LeaderNotAvailableError
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords
from kafka.structs import TopicPartition

from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.consumer import fetches
from orders.adapters.kafka.consumer.offset_tracker import OffsetTracker
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.adapters.kafka.wire import record_batches
from orders.adapters.kafka.wire.record_batches import (
    Allowance,
    Record,
    UnreadableBatch,
    read_records,
)
from orders.domain.intake.messages import Batch
from tests.contracts.message_source import messages_of, nothing_comes, receive, values_of
from tests.integration.kafka.other_client import OtherClient
from tests.integration.opened import opened


@pytest.mark.parametrize(
    "error",
    [
        UnreadableBatch("orders", 0, 0, "a trial"),
        LeaderNotAvailableError("a trial"),
        KafkaError("a trial"),
        ValueError("a trial"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_now_and_then_costs_no_message(
    topics: KafkaSettings,
    other_client: OtherClient,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    chance = random.Random(7)
    raised = 0

    def sometimes(
        partition: TopicPartition, fetched: MemoryRecords, start: int, _fetches: int
    ) -> Iterator[Record]:
        nonlocal raised
        records = list(read_records(partition, fetched, start, left=Allowance()))
        if chance.random() < 0.3:
            raised += 1
            raise error
        return iter(records)

    monkeypatch.setattr(fetches, "reader_of_poll", lambda: sometimes)
    monkeypatch.setattr("orders.adapters.kafka.consumer.client_retries._TRIES", 1_000)
    values = [b"%05d" % n for n in range(3_000)]
    async with opened(KafkaMessageSource(topics, fetch_max_bytes=5_000)) as source:
        batches = []
        for start in range(0, len(values), 100):
            part = values[start : start + 100]
            await asyncio.to_thread(other_client.send_many, topics.topic, part)
            batches += await receive(source, len(part))
            await source.commit(batches[-1])
        assert raised > 3
        assert values_of(batches) == values
        assert await nothing_comes(source)
    for _, found in itertools.groupby(messages_of(batches), lambda m: m.origin.partition):
        offsets = [message.origin.offset for message in found]
        assert offsets == sorted(offsets)


async def test_a_batch_that_stays_unreadable_ends_reading_but_not_its_neighbours(
    topics: KafkaSettings, other_client: OtherClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = record_batches._records

    def failing(batch: DefaultRecordBatch, *more: Any) -> list[Record]:
        records = good(batch, *more)
        if any(record.value == b"broken" for record in records):
            raise ValueError
        return records

    monkeypatch.setattr(record_batches, "_records", failing)

    def send() -> None:
        for partition in range(3):
            for number in range(3):
                other_client.send(topics.topic, b"%d" % number, partition=partition)
        other_client.send(topics.topic, b"broken", partition=1)
        other_client.send(topics.topic, b"after", partition=1)

    await asyncio.to_thread(send)
    async with opened(KafkaMessageSource(topics)) as source:
        batches = await receive(source, 9)
        await source.commit(batches[-1])
        async with asyncio.timeout(30):
            with pytest.raises(UnreadableBatch, match=f"{topics.topic} partition 1 .* at 3:"):
                await source.receive()
            with pytest.raises(UnreadableBatch):
                await source.receive()
    assert len(messages_of(batches)) == 9
    positions = await asyncio.to_thread(other_client.committed, topics.group, topics.topic, 3)
    assert positions == [3, 3, 3]


async def test_what_stands_before_it_is_waited_for_while_it_is_being_stored(
    topics: KafkaSettings, other_client: OtherClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def failing(
        partition: TopicPartition, fetched: MemoryRecords, start: int, _fetches: int
    ) -> Iterator[Record]:
        records = list(read_records(partition, fetched, start, left=Allowance()))
        good = list(itertools.takewhile(lambda record: record.value != b"broken", records))
        if not good:
            failed.set()
            raise UnreadableBatch(partition.topic, partition.partition, 0, "a trial")
        return iter(good)

    monkeypatch.setattr(fetches, "reader_of_poll", lambda: failing)
    monkeypatch.setattr("orders.adapters.kafka.consumer.client_retries._TRIES", 1)
    values = [b"%05d" % n for n in range(2_100)]  # more than a batch
    await asyncio.to_thread(other_client.send_many, topics.topic, values, partition=0)
    await asyncio.to_thread(other_client.send, topics.topic, b"broken", partition=0)
    batches: list[Batch] = []

    async def work(source: KafkaMessageSource) -> None:
        while True:
            batches.append(await source.receive())
            if len(values_of(batches)) == len(values):  # stored after reading has failed
                await asyncio.to_thread(failed.wait, 10)
            await source.commit(batches[-1])

    async with opened(KafkaMessageSource(topics)) as source:
        with pytest.raises(UnreadableBatch):
            await work(source)
    assert values_of(batches) == values
    positions = await asyncio.to_thread(other_client.committed, topics.group, topics.topic, 1)
    assert positions == [len(values)]


async def test_a_mistake_of_ours_in_a_rebalance_is_not_hidden(
    topics: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(tracker: OffsetTracker, _partitions: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(OffsetTracker, "assign", fail)
    async with opened(KafkaMessageSource(topics)) as source, asyncio.timeout(15):
        with pytest.raises(ZeroDivisionError):
            await source.receive()
