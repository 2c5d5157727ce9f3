"""Deletion of dead letters in memory."""

import pytest

from orders.adapters.memory.dead_letter_deletion import MemoryDeadLetterDeletion
from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.domain.intake.messages import DeadLetter
from tests.contracts.dead_letter_deletion import (
    DeadLetterDeletionContract,
    DeadLetterDeletionSide,
)


class MemorySide(DeadLetterDeletionSide):
    def __init__(self) -> None:
        self.topic = MemoryDeadLetters()
        self.deletion = MemoryDeadLetterDeletion(self.topic)
        self.reader = MemoryDeadLetterReader(self.topic)

    async def put(self, *dead_letters: DeadLetter) -> None:
        await self.topic.put(dead_letters)


class TestMemoryDeadLetterDeletion(DeadLetterDeletionContract):
    @pytest.fixture
    def side(self) -> DeadLetterDeletionSide:
        return MemorySide()
