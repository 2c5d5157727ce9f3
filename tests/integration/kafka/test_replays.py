"""What a replay needs, on real topics: the contracts."""

import asyncio
from datetime import UTC, datetime

import pytest

from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.dead_letter_reader import KafkaDeadLetterReader
from orders.adapters.kafka.dead_letters import KafkaDeadLetters
from orders.adapters.kafka.replay_journal import KafkaReplayJournal
from orders.adapters.kafka.replay_target import KafkaReplayTarget
from orders.domain.intake.messages import MAX_ATTEMPT, DeadLetter, Identity, Message, Origin
from orders.domain.ports import ReplayJournal, ReplayNote
from tests.contracts.dead_letter_reader import DeadLetterReaderContract, DeadLetterReaderSide
from tests.contracts.replay_journal import ReplayJournalContract, ReplayJournalSide
from tests.contracts.replay_target import ReplayTargetContract, ReplayTargetSide
from tests.integration.kafka.other_client import OtherClient
from tests.waiting import wait_until


class KafkaReaderSide(DeadLetterReaderSide):
    def __init__(
        self, settings: KafkaSettings, client: KafkaProducerClient, other_client: OtherClient
    ) -> None:
        self.topic = settings.dlq_topic
        self.dead_letters = KafkaDeadLetters(client, settings)
        self.reader = KafkaDeadLetterReader(settings)
        self.other_client = other_client

    async def put(self, *dead_letters: DeadLetter) -> None:
        await self.dead_letters.put(dead_letters)

    async def put_stranger(self) -> None:
        headers = [("orders-error-code", b"invalid"), ("orders-source-offset", None)]
        await asyncio.to_thread(self.other_client.send, self.topic, b"?", headers=headers)


class TestKafkaDeadLetterReader(DeadLetterReaderContract):
    @pytest.fixture
    def side(
        self, topics: KafkaSettings, client: KafkaProducerClient, other_client: OtherClient
    ) -> DeadLetterReaderSide:
        return KafkaReaderSide(topics, client, other_client)


async def test_a_topic_that_is_missing_is_no_empty_one(kafka_settings: KafkaSettings) -> None:
    assert await KafkaDeadLetterReader(kafka_settings).approximate_count() is None


class KafkaJournalSide(ReplayJournalSide):
    def __init__(self, settings: KafkaSettings, client: KafkaProducerClient) -> None:
        self.settings = settings
        self.client = client
        self.journal = KafkaReplayJournal(client, settings)

    def another(self) -> ReplayJournal:
        return KafkaReplayJournal(self.client, self.settings)


class TestKafkaReplayJournal(ReplayJournalContract):
    @pytest.fixture
    def side(self, topics: KafkaSettings, client: KafkaProducerClient) -> ReplayJournalSide:
        return KafkaJournalSide(topics, client)

    async def test_its_topic_keeps_the_latest_of_each_identity(
        self, side: KafkaJournalSide, other_client: OtherClient
    ) -> None:
        await side.journal.note({})
        topic = side.settings.replays_topic
        assert topic == f"{side.settings.dlq_topic}.replays"
        wait_until(lambda: other_client.partitions(topic) == 1, 10, "the topic is known")
        assert other_client.config(topic)["cleanup.policy"] == "compact"

    async def test_notes_of_former_versions_are_read(
        self, side: KafkaJournalSide, other_client: OtherClient
    ) -> None:
        await side.journal.note({})
        topic, value = side.settings.replays_topic, b'{"replayed_at":"2026-01-02T03:04:05Z"}'
        for key, written in ((b"orders/0:1:0", value), (b"unfinished-run", b"{}")):
            await asyncio.to_thread(other_client.send, topic, written, key=key)
        at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        expected = {Identity(Origin("orders", 0, 1), 0): ReplayNote(at, MAX_ATTEMPT)}
        assert await side.journal.read() == expected


class KafkaTargetSide(ReplayTargetSide):
    def __init__(
        self, settings: KafkaSettings, client: KafkaProducerClient, other_client: OtherClient
    ) -> None:
        self.settings = settings
        self.target = KafkaReplayTarget(client, settings)
        self.other_client = other_client

    async def arrived(self) -> list[Message]:
        return await asyncio.to_thread(self.other_client.read_all, self.settings.topic)


class TestKafkaReplayTarget(ReplayTargetContract):
    @pytest.fixture
    def side(
        self, topics: KafkaSettings, client: KafkaProducerClient, other_client: OtherClient
    ) -> ReplayTargetSide:
        return KafkaTargetSide(topics, client, other_client)
