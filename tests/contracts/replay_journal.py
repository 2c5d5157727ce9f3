"""What all journals of replays keep to. Subclasses give the fixture ``side``."""

from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from orders.domain.intake.messages import Identity, Origin
from orders.domain.ports import ReplayJournal, ReplayNote

FIRST = ReplayNote(datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), 1)
LATER = ReplayNote(FIRST.replayed_at + timedelta(days=1), 2)


def identity(number: int) -> Identity:
    return Identity(Origin("orders", 3, number), number % 2)


class ReplayJournalSide(Protocol):
    """A journal that is empty at first."""

    journal: ReplayJournal

    @abstractmethod
    def another(self) -> ReplayJournal:
        """The same journal, in the hands of somebody else."""


class ReplayJournalContract:
    @pytest.fixture
    def side(self) -> ReplayJournalSide:
        raise NotImplementedError

    async def test_nothing_is_noted_at_first(self, side: ReplayJournalSide) -> None:
        assert await side.journal.read() == {}

    async def test_what_is_noted_is_read_by_everybody(self, side: ReplayJournalSide) -> None:
        await side.journal.note({identity(n): FIRST for n in range(2_500)})
        await side.another().note({identity(1): LATER})
        await side.journal.note({})
        expected = {identity(n): FIRST for n in range(2_500)} | {identity(1): LATER}
        for journal in (side.journal, side.another()):
            assert await journal.read() == expected
