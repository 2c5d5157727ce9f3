"""Deleting the oldest dead letters."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from orders.adapters.memory.dead_letter_deletion import MemoryDeadLetterDeletion
from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.memory.replay_journal import MemoryJournalStore, MemoryReplayJournal
from orders.domain.dead_letters.forgotten import RememberedDeadLetters
from orders.domain.dead_letters.headers import root_of
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import Entry, Places, ReplayNote
from orders.domain.use_cases.delete_dead_letters import DeleteDeadLetters
from tests import builders


class Setting:
    def __init__(self) -> None:
        self.topic = MemoryDeadLetters()
        self.journal = MemoryReplayJournal(MemoryJournalStore())
        self.erasure = MemoryErasure(MemoryOrderRepository())
        reader = MemoryDeadLetterReader(self.topic)
        self.delete = DeleteDeadLetters(
            reader,
            RememberedDeadLetters(reader, self.erasure),
            self.journal,
            MemoryDeadLetterDeletion(self.topic),
        )

    async def put(self, *dead_letters: DeadLetter | None, replayed: bool = True) -> None:
        self.topic.written += dead_letters
        if replayed:
            notes = {
                root_of(one): ReplayNote(one.failed_at + timedelta(seconds=1), one.attempt)
                for one in dead_letters
                if one
            }
            await self.journal.note(notes)


@pytest.fixture
def setting() -> Setting:
    return Setting()


def failed(offset: int, hours: int, value: bytes = b"[1]") -> DeadLetter:
    return builders.dead_letter(offset, value=value, hours=hours)


NOON = failed(0, 0).failed_at


async def test_deletes_up_to_the_first_that_failed_later(setting: Setting) -> None:
    await setting.put(failed(1, 1), None, failed(2, 2), failed(3, 9), failed(4, 1))
    for dry_run in (True, False):
        report = await setting.delete(NOON + timedelta(hours=5), dry_run=dry_run)
        assert (report.records, report.behind, report.ends) == (3, 1, {0: 3})
        assert report.states == {"replayed": 2}
        assert len(setting.topic.written) == (5 if dry_run else 2)
    report = await setting.delete(NOON + timedelta(hours=5))
    assert (report.records, report.ends) == (0, {})


async def test_what_waits_is_kept_unless_it_is_included(setting: Setting) -> None:
    await setting.put(failed(1, 1))
    await setting.put(failed(2, 1), replayed=False)
    await setting.put(failed(3, 1))
    report = await setting.delete(NOON + timedelta(hours=5))
    assert (report.records, report.behind) == (1, 1)
    assert [root.origin.offset for root in report.waiting] == [2]
    report = await setting.delete(NOON + timedelta(hours=5), include_waiting=True)
    assert (report.records, report.states) == (2, {"waiting": 1, "replayed": 1})
    assert setting.topic.written == []


async def test_those_of_forgotten_orders_do_not_wait(setting: Setting) -> None:
    await setting.put(failed(1, 1, b'{"order_uid": "gone"}'), replayed=False)
    await setting.erasure.forget(["gone"])
    assert (await setting.delete(NOON + timedelta(hours=5))).records == 1
    assert setting.topic.written == []


class Lacking(MemoryDeadLetterReader):
    """Does not know one of the records, as where reading them broke off without an error."""

    def __init__(self, topic: MemoryDeadLetters, offset: int) -> None:
        super().__init__(topic)
        self._lacks = offset

    async def read(self, places: Places | None = None) -> AsyncIterator[Entry]:
        async for entry in super().read(places):
            if entry.place[1] != self._lacks:
                yield entry


@pytest.mark.parametrize(("lacks", "kept"), [(0, 3), (1, 3), (2, 1)])
async def test_what_the_index_has_not_seen_is_not_deleted(
    setting: Setting, lacks: int, kept: int
) -> None:
    """It may wait for a replay. What comes behind all that was seen came later, and is kept."""
    await setting.put(failed(1, 1), failed(2, 1), failed(3, 1))
    setting.delete = DeleteDeadLetters(
        MemoryDeadLetterReader(setting.topic),
        Lacking(setting.topic, lacks),
        setting.journal,
        MemoryDeadLetterDeletion(setting.topic),
    )
    later = NOON + timedelta(hours=5)
    if lacks == 2:
        assert (await setting.delete(later)).records == 2
    else:
        with pytest.raises(Unavailable, match="nothing was deleted"):
            await setting.delete(later)
    assert len(setting.topic.written) == kept
