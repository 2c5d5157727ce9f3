"""Deletion of dead letters on a real topic."""

import pytest

from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.dead_letter_deletion import KafkaDeadLetterDeletion
from orders.adapters.kafka.dead_letter_reader import KafkaDeadLetterReader
from orders.adapters.kafka.dead_letters import KafkaDeadLetters
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter
from tests.contracts.dead_letter_deletion import (
    DeadLetterDeletionContract,
    DeadLetterDeletionSide,
)
from tests.contracts.dead_letters import dead_letter


class KafkaSide(DeadLetterDeletionSide):
    def __init__(self, settings: KafkaSettings, client: KafkaProducerClient) -> None:
        self.topic = KafkaDeadLetters(client, settings)
        self.deletion = KafkaDeadLetterDeletion(settings)
        self.reader = KafkaDeadLetterReader(settings)

    async def put(self, *dead_letters: DeadLetter) -> None:
        await self.topic.put(dead_letters)


class TestKafkaDeadLetterDeletion(DeadLetterDeletionContract):
    @pytest.fixture
    def side(self, topics: KafkaSettings, client: KafkaProducerClient) -> DeadLetterDeletionSide:
        return KafkaSide(topics, client)

    async def test_what_is_not_there_cannot_be_deleted(self, side: KafkaSide) -> None:
        await side.put(dead_letter(b"[1]", 1))
        with pytest.raises(Unavailable):
            await side.deletion.delete({0: 1_000_000})
