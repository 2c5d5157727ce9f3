"""Dead letters in a real topic: the contract, and what other clients see."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec
import pytest

from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.dead_letter_reader import KafkaDeadLetterReader
from orders.adapters.kafka.dead_letters import KafkaDeadLetters
from orders.adapters.memory.replay_journal import MemoryJournalStore, MemoryReplayJournal
from orders.domain.dead_letters.index import index_dead_letters
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter, Message, Origin
from tests.contracts.dead_letters import DeadLettersContract, DeadLettersSide, dead_letter
from tests.integration.kafka.other_client import OtherClient

OURS = (
    "orders-error-code",
    "orders-error-detail",
    "orders-source-topic",
    "orders-source-partition",
    "orders-source-offset",
    "orders-source-index",
    "orders-source-timestamp",
    "orders-failed-at",
    "orders-attempt",
)


def parsed(found: Message) -> DeadLetter:
    """A dead letter from a message; fails where a header of ours is missing or stands twice."""
    ours = {name: value.decode() for name, value in found.headers if name in OURS}
    assert [name for name, _ in found.headers if name in OURS] == list(OURS)
    origin = Origin(
        ours["orders-source-topic"],
        int(ours["orders-source-partition"]),
        int(ours["orders-source-offset"]),
    )
    others = tuple((name, value) for name, value in found.headers if name not in OURS)
    return DeadLetter(
        Message(origin, None, found.key, found.timestamp, others),
        int(ours["orders-source-index"]),
        found.value,
        ours["orders-error-code"],  # type: ignore[arg-type]
        ours["orders-error-detail"],
        datetime.fromisoformat(ours["orders-failed-at"]),
        int(ours["orders-attempt"]),
    )


class KafkaSide(DeadLettersSide):
    def __init__(
        self, settings: KafkaSettings, client: KafkaProducerClient, other_client: OtherClient
    ) -> None:
        self.topic = settings.dlq_topic
        self.dead_letters = KafkaDeadLetters(client, settings)
        self.other_client = other_client

    async def found(self) -> list[Message]:
        return await asyncio.to_thread(self.other_client.read_all, self.topic)

    async def kept(self) -> list[DeadLetter]:
        dead_letters = map(parsed, await self.found())
        return list({kept.identity: kept for kept in dead_letters}.values())


@pytest.fixture
async def side(topics: KafkaSettings, other_client: OtherClient) -> AsyncIterator[KafkaSide]:
    client = KafkaProducerClient(topics)
    await client.open()
    yield KafkaSide(topics, client, other_client)
    await client.close()


class TestKafkaDeadLetters(DeadLettersContract):
    @pytest.fixture
    def side(self, side: KafkaSide) -> DeadLettersSide:
        return side


async def test_the_time_is_written_as_rfc_3339(side: KafkaSide) -> None:
    await side.dead_letters.put([dead_letter()])
    [found] = await side.found()
    assert dict(found.headers)["orders-failed-at"] == b"2026-02-03T04:05:06.000789Z"


async def test_headers_of_an_earlier_dead_letter_give_way(side: KafkaSide) -> None:
    replayed = (("orders-error-code", b"empty"), ("x", b"1"), ("orders-attempt", b"9"))
    await side.dead_letters.put([dead_letter(headers=replayed)])
    [found] = await side.found()
    headers = found.headers
    assert headers[0] == ("x", b"1")
    assert [value for name, value in headers if name == "orders-error-code"] == [b"undecodable"]
    assert [value for name, value in headers if name == "orders-attempt"] == [b"1"]


@pytest.mark.parametrize(
    ("value", "key"), [(b"{" + b"x" * 16_000_000, b"key"), (b"{", b"k" * 16_000_000)]
)
async def test_a_large_dead_letter_that_compresses_well_is_stored(
    topics: KafkaSettings, other_client: OtherClient, value: bytes, key: bytes
) -> None:
    """Brokers bound what is stored, so a small batch may hold a message of many megabytes."""
    client = KafkaProducerClient(topics)
    await client.open()
    try:
        await KafkaDeadLetters(client, topics).put([dead_letter(value, key=key)])
    finally:
        await client.close()
    [kept] = await asyncio.to_thread(other_client.read_all, topics.dlq_topic)
    assert (kept.value, kept.key) == (value, key)


async def test_one_that_does_not_fit_its_topic_is_not_passed_over(
    kafka_settings: KafkaSettings, other_client: OtherClient
) -> None:
    other_client.create(
        kafka_settings.dlq_topic, max_message_bytes="1000", compression_type="uncompressed"
    )
    client = KafkaProducerClient(kafka_settings, compression_type=None)
    await client.open()
    try:
        with pytest.raises(Unavailable, match="larger"):
            await KafkaDeadLetters(client, kafka_settings).put([dead_letter(b"x" * 2_000)])
    finally:
        await client.close()


async def put_and_read(
    settings: KafkaSettings, *dead_letters: DeadLetter
) -> dict[tuple[int, int], DeadLetter]:
    """Put them, and read what the tools see, by offset and index of the source."""
    client = KafkaProducerClient(settings)
    await client.open()
    try:
        await KafkaDeadLetters(client, settings).put(dead_letters)
        entries = [entry async for entry in KafkaDeadLetterReader(settings).read()]
    finally:
        await client.close()
    found = [entry.dead_letter for entry in entries]
    assert all(found)
    return {(f.message.origin.offset, f.index): f for f in found if f}


def at(timestamp: int, **others: Any) -> DeadLetter:
    made = dead_letter(**others)
    return msgspec.structs.replace(
        made, message=msgspec.structs.replace(made.message, timestamp=timestamp)
    )


DAY = 86_400_000
NOW = int(time.time() * 1000)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"message_timestamp_after_max_ms": "3600000"},
        {"message_timestamp_before_max_ms": "3600000"},
        {"message_timestamp_type": "LogAppendTime"},
    ],
    ids=["defaults", "no later ones", "no earlier ones", "their own time"],
)
@pytest.mark.parametrize(
    "timestamp",
    [NOW + 3 * DAY, NOW, 0, -1, -5, 2**63 - 1, -(2**63)],
    ids=["in three days", "now", "epoch", "none", "before the epoch", "largest", "smallest"],
)
async def test_no_timestamp_holds_up_a_dead_letter_or_is_lost(
    kafka_settings: KafkaSettings, other_client: OtherClient, timestamp: int, config: dict[str, Any]
) -> None:
    other_client.create(kafka_settings.dlq_topic, **config)
    bad, neighbour = at(timestamp, offset=1), at(NOW, offset=2)
    found = await put_and_read(kafka_settings, bad, neighbour)
    assert found[1, 0].message.timestamp == timestamp
    assert found[2, 0].message.timestamp == NOW


async def test_where_retention_is_limited_it_begins_when_the_dead_letter_is_written(
    kafka_settings: KafkaSettings, other_client: OtherClient
) -> None:
    settings = msgspec.structs.replace(kafka_settings, dlq_retention="7d")
    other_client.create(settings.dlq_topic)
    found = await put_and_read(settings, at(0))
    assert found[7, 0].message.timestamp == 0
    [record] = await asyncio.to_thread(other_client.read_all, settings.dlq_topic)
    assert record.timestamp >= NOW


async def test_a_topic_that_takes_no_message_without_a_key(
    kafka_settings: KafkaSettings, other_client: OtherClient
) -> None:
    other_client.create(kafka_settings.dlq_topic, cleanup_policy="compact")
    none, empty = dead_letter(key=None, offset=1), dead_letter(key=b"", offset=2)
    found = await put_and_read(kafka_settings, none, empty)
    assert found[1, 0].message.key is None
    assert found[2, 0].message.key == b""


async def test_copies_in_a_topic_that_sets_its_own_time_are_one_dead_letter(
    kafka_settings: KafkaSettings, other_client: OtherClient
) -> None:
    other_client.create(kafka_settings.dlq_topic, message_timestamp_type="LogAppendTime")
    client = KafkaProducerClient(kafka_settings)
    await client.open()
    try:
        for _ in range(2):
            await KafkaDeadLetters(client, kafka_settings).put([dead_letter()])
        journal = MemoryReplayJournal(MemoryJournalStore())
        index = await index_dead_letters(KafkaDeadLetterReader(kafka_settings), journal)
    finally:
        await client.close()
    [summary] = index.dead_letters.values()
    assert (summary.copies, index.hidden) == (2, 0)
