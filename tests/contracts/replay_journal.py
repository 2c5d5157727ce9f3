"""What all journals of replays keep to. Subclasses give the fixture ``side``."""

from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from orders.domain.errors import OrdersError, ReplayInProgress
from orders.domain.intake.messages import Identity, Origin
from orders.domain.ports import ReplayJournal, Replays, Run

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
LATER = AT + timedelta(days=1)
RUN = Run(AT, {0: 7, 3: 2**40})


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
        assert await side.journal.read() == Replays({})

    async def test_what_is_noted_is_read_by_everybody(self, side: ReplayJournalSide) -> None:
        async with side.journal.hold():
            await side.journal.note([identity(n) for n in range(2_500)], AT)
            await side.journal.note([identity(1)], LATER)
            await side.journal.note([], LATER)
        expected = {identity(n): AT for n in range(2_500)} | {identity(1): LATER}
        for journal in (side.journal, side.another()):
            assert await journal.read() == Replays(expected)

    async def test_a_run_is_noted_until_it_is_finished(self, side: ReplayJournalSide) -> None:
        async with side.journal.hold():
            await side.journal.begin(RUN)
            again = Run(LATER, {}, again=True)
            assert await side.another().read() == Replays({}, RUN)
            await side.journal.begin(again)
            assert await side.another().read() == Replays({}, again)
        assert await side.another().read() == Replays({}, again)
        async with side.journal.hold():
            await side.journal.finish()
        assert await side.another().read() == Replays({})

    async def test_only_one_holds_it(self, side: ReplayJournalSide) -> None:
        other = side.another()
        async with side.journal.hold():
            with pytest.raises(ReplayInProgress):
                async with other.hold():
                    pytest.fail("both hold it")
            await side.journal.begin(RUN)
        async with other.hold():
            with pytest.raises(ReplayInProgress):
                async with side.journal.hold():
                    pytest.fail("both hold it")
            await other.finish()

    async def test_only_who_holds_it_writes(self, side: ReplayJournalSide) -> None:
        journal = side.journal
        for write in (journal.begin(RUN), journal.note([identity(1)], AT), journal.finish()):
            with pytest.raises(OrdersError, match="not held"):
                await write
        assert await journal.read() == Replays({})
