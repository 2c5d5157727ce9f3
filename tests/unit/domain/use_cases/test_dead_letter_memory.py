"""What the tools for dead letters take in memory, of which there may be a million."""

import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from orders.adapters.memory.dead_letter_deletion import MemoryDeadLetterDeletion
from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.replay_journal import MemoryJournalStore, MemoryReplayJournal
from orders.adapters.memory.replay_target import MemoryReplayTarget
from orders.adapters.memory.topic import MemoryTopic
from orders.domain.dead_letters.headers import dead_letter_in, headers_of
from orders.domain.dead_letters.index import Reference
from orders.domain.intake.messages import Message, Origin
from orders.domain.ports import Entry, Places
from orders.domain.use_cases.delete_dead_letters import DeleteDeadLetters
from orders.domain.use_cases.list_dead_letters import ListDeadLetters
from orders.domain.use_cases.replay_dead_letters import ReplayDeadLetters, ReplayRequest
from orders.domain.use_cases.show_dead_letter import ShowDeadLetter
from tests.builders import START, dead_letter

AMOUNT = 2_000
ELEMENTS = 1_000
MAX_BYTES = 500
"""For each dead letter: 600,000 fit in 512 MB, with what a process takes besides."""


class Elements(MemoryDeadLetterReader):
    """Reads the dead letters of arrays, whose details are long and all differ."""

    def __init__(self, claimed: bytes | None) -> None:
        super().__init__(MemoryDeadLetters())
        self._headers = (("orders-replay-of", claimed),) if claimed else ()

    async def approximate_count(self) -> int:
        return AMOUNT

    async def read(self, places: Places | None = None) -> AsyncIterator[Entry]:
        first, last = (0, AMOUNT - 1) if places is None else places.bounds[0]
        for number in range(first, last + 1):
            yield Entry((0, number), dead_letter_in(self._record(number)))

    def _record(self, number: int) -> Message:
        offset, index = divmod(number, ELEMENTS)
        kept = dead_letter(
            offset,
            index,
            value=b"[%d]" % number,
            detail=f"$[{index}]: is bad".ljust(1_000, "…"),
            hours=offset + index / ELEMENTS,
            headers=self._headers,
        )
        return Message(Origin("orders.dlq", 0, number), kept.value, b"k", 0, headers_of(kept))


async def listed(reader: Elements) -> None:
    found = await ListDeadLetters(reader, JOURNAL)(limit=3)
    assert len([one async for one in found.dead_letters]) == 3
    assert sum(found.by_code.values()) == AMOUNT


async def all_listed(reader: Elements) -> None:
    found = await ListDeadLetters(reader, JOURNAL)()
    count = 0
    async for one in found.dead_letters:
        count += one.detail.startswith("$[")
    assert count == AMOUNT


async def shown(reader: Elements) -> None:
    found = await ShowDeadLetter(reader, JOURNAL)(Reference(None, 0, 1, 77))
    assert found.dead_letter.value == b"[1077]"


async def replayed(reader: Elements) -> None:
    target = MemoryReplayTarget(MemoryTopic("orders"))
    use_case = ReplayDeadLetters(reader, MemoryReplayJournal(MemoryJournalStore()), target)
    report = await use_case(ReplayRequest(), wants_stop=lambda: True)
    assert report.remaining == AMOUNT


async def deleted(reader: Elements) -> None:
    deletion = MemoryDeadLetterDeletion(MemoryDeadLetters())
    use_case = DeleteDeadLetters(reader, reader, JOURNAL, deletion)
    report = await use_case(START + timedelta(days=1), include_waiting=True, dry_run=True)
    assert report.records == AMOUNT


JOURNAL = MemoryReplayJournal(MemoryJournalStore())


@pytest.mark.parametrize("use", [listed, all_listed, shown, replayed, deleted])
@pytest.mark.parametrize("claimed", [None, b"orders/0:99:0"], ids=["", "as replays"])
async def test_each_dead_letter_takes_little(
    use: Callable[[Elements], Awaitable[None]],
    claimed: bytes | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orders.domain.use_cases.list_dead_letters._CHUNK", 50)
    monkeypatch.setattr("orders.domain.use_cases.replay_dead_letters.CHUNK_RECORDS", 50)
    tracemalloc.start()
    try:
        await use(Elements(claimed))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / AMOUNT < MAX_BYTES
