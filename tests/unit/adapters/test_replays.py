"""What a replay needs, in memory."""

import pytest

from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.replay_journal import MemoryJournalStore, MemoryReplayJournal
from orders.adapters.memory.replay_target import MemoryReplayTarget
from orders.adapters.memory.topic import MemoryTopic
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter, Message
from orders.domain.ports import ReplayJournal
from tests.contracts.dead_letter_reader import (
    DeadLetterReaderContract,
    DeadLetterReaderSide,
    entries,
)
from tests.contracts.dead_letters import dead_letter
from tests.contracts.replay_journal import ReplayJournalContract, ReplayJournalSide
from tests.contracts.replay_target import ReplayTargetContract, ReplayTargetSide


class MemoryReaderSide(DeadLetterReaderSide):
    def __init__(self) -> None:
        self.dead_letters = MemoryDeadLetters()
        self.reader = MemoryDeadLetterReader(self.dead_letters)

    async def put(self, *dead_letters: DeadLetter) -> None:
        await self.dead_letters.put(dead_letters)

    async def put_stranger(self) -> None:
        self.dead_letters.written.append(None)


class TestMemoryDeadLetterReader(DeadLetterReaderContract):
    @pytest.fixture
    def side(self) -> DeadLetterReaderSide:
        return MemoryReaderSide()

    async def test_while_they_are_down_nothing_is_read(self) -> None:
        side = MemoryReaderSide()
        side.dead_letters.available = False
        with pytest.raises(Unavailable):
            await entries(side)
        with pytest.raises(Unavailable):
            await side.reader.approximate_count()


class MemoryJournalSide(ReplayJournalSide):
    def __init__(self) -> None:
        self.store = MemoryJournalStore()
        self.journal = MemoryReplayJournal(self.store)

    def another(self) -> ReplayJournal:
        return MemoryReplayJournal(self.store)


class TestMemoryReplayJournal(ReplayJournalContract):
    @pytest.fixture
    def side(self) -> ReplayJournalSide:
        return MemoryJournalSide()

    async def test_while_it_is_down_nothing_is_read_or_recorded(self) -> None:
        side = MemoryJournalSide()
        side.store.available = False
        with pytest.raises(Unavailable):
            await side.journal.read()
        with pytest.raises(Unavailable):
            await side.journal.note({})


class MemoryTargetSide(ReplayTargetSide):
    def __init__(self) -> None:
        self.topic = MemoryTopic("orders", partitions=3)
        self.target = MemoryReplayTarget(self.topic)

    async def arrived(self) -> list[Message]:
        return [message for partition in self.topic.partitions for message in partition]


class TestMemoryReplayTarget(ReplayTargetContract):
    @pytest.fixture
    def side(self) -> ReplayTargetSide:
        return MemoryTargetSide()

    async def test_while_it_is_down_nothing_is_sent(self) -> None:
        side = MemoryTargetSide()
        side.target.available = False
        with pytest.raises(Unavailable):
            await side.target.send([dead_letter()])
        assert await side.arrived() == []
