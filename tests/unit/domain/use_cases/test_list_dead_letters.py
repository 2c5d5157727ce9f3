"""The list of dead letters: each once, its newest copy, and what has become of it."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.replay_journal import MemoryJournalStore, MemoryReplayJournal
from orders.domain.dead_letters.index import Reference, Selection, State
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter, Identity, Origin
from orders.domain.ports import ReplayNote
from orders.domain.use_cases import list_dead_letters
from orders.domain.use_cases.list_dead_letters import (
    DeadLetterCounts,
    ListDeadLetters,
    ListedDeadLetter,
)
from tests import builders
from tests.builders import START


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


dead_letter = partial(builders.dead_letter, partition=1)


class Setting:
    def __init__(self, *written: DeadLetter | None) -> None:
        self.dead_letters = MemoryDeadLetters()
        self.dead_letters.written += written
        self.store = MemoryJournalStore()
        self.list = ListDeadLetters(
            MemoryDeadLetterReader(self.dead_letters), MemoryReplayJournal(self.store)
        )

    async def listed(self) -> list[ListedDeadLetter]:
        return [one async for one in (await self.list()).dead_letters]

    async def found(self, *states: State, max_attempts: int = 3, **selection: Any) -> list[str]:
        found = await self.list(Selection(**selection), frozenset(states), max_attempts)
        identities = [str(listed.identity) async for listed in found.dead_letters]
        return [identity.removeprefix("orders/1:") for identity in identities]


async def test_of_copies_the_newest_counts_wherever_it_stands() -> None:
    setting = Setting(
        dead_letter(1, hours=5), dead_letter(2), dead_letter(1, hours=3), dead_letter(2)
    )
    found = await setting.listed()
    assert [(x.identity.origin.offset, x.summary.attempt) for x in found] == [(2, 1), (1, 1)]
    assert [x.summary.place for x in found] == [(0, 3), (0, 0)]
    assert (await setting.list()).by_code == {"invalid": 2}


async def test_of_several_messages_of_one_name_the_newest_is_listed_and_the_rest_counted() -> None:
    anew = replace(dead_letter(1, hours=5), value=b"[2]")
    setting = Setting(anew, dead_letter(1), dead_letter(1, hours=3))
    setting.store.notes[anew.identity] = ReplayNote(at(4), 1)
    assert [(x.summary.failed_at, x.state, x.replayed_at) for x in await setting.listed()] == [
        (at(5), "waiting", None)
    ]
    assert (await setting.list()).hidden == 1
    assert await setting.found("replayed") == []


numbers = st.integers(0, 3)


@given(st.lists(st.tuples(numbers, numbers, numbers)))
async def test_each_identity_is_listed_once_in_the_order_of_failure(
    written: list[tuple[int, int, int]],
) -> None:
    dead_letters = [dead_letter(offset, index, hours=hours) for offset, index, hours in written]
    found = await Setting(*dead_letters).listed()
    assert {x.identity for x in found} == {x.identity for x in dead_letters}
    assert len(found) == len({x.identity for x in dead_letters})
    newest = {x.identity: max(y.failed_at for y in dead_letters if y.identity == x.identity)
              for x in dead_letters}  # fmt: skip
    assert {x.identity: x.summary.failed_at for x in found} == newest
    times = [x.summary.failed_at for x in found]
    assert times == sorted(times)


async def test_the_latest_are_listed_and_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_dead_letters, "_CHUNK", 2)
    hours = (5, 1, 4, 2, 3)
    setting = Setting(*(dead_letter(n, hours=n, detail=f"{n} is bad") for n in hours))
    for limit, expected in ((None, 5), (9, 5), (5, 5), (3, 3), (1, 1)):
        found = await setting.list(limit=limit)
        details = [listed.detail async for listed in found.dead_letters]
        assert details == [f"{n} is bad" for n in range(1, 6)][-expected:]
        assert (found.by_code, found.by_state) == ({"invalid": 5}, {"waiting": 5})


async def test_what_is_deleted_while_it_is_listed_is_left_out() -> None:
    setting = Setting(dead_letter(1), dead_letter(2))
    found = await setting.list()
    del setting.dead_letters.written[0]
    setting.dead_letters.start += 1
    assert [listed.identity.origin.offset async for listed in found.dead_letters] == [2]


async def test_filters() -> None:
    setting = Setting(
        dead_letter(1, hours=1, code="empty"),
        dead_letter(2, hours=2),
        dead_letter(3, 4, hours=3),
        None,
    )
    assert await setting.found() == ["1:0", "2:0", "3:4"]
    assert await setting.found(codes=frozenset({"empty", "conflict"})) == ["1:0"]
    assert await setting.found(since=at(2)) == ["2:0", "3:4"]
    assert await setting.found(until=at(2)) == ["1:0"]
    assert await setting.found(since=at(2), until=at(3)) == ["2:0"]
    assert await setting.found(references=(Reference(None, 1, 3, None),)) == ["3:4"]
    assert await setting.found(references=(Reference("orders", 1, 3, 4),)) == ["3:4"]
    for other in (Reference("other", 1, 3, 4), Reference(None, 0, 3, 4), Reference(None, 1, 3, 0)):
        assert await setting.found(references=(other,)) == []


async def test_states() -> None:
    setting = Setting(
        dead_letter(1),
        dead_letter(2, attempt=2),
        dead_letter(3, attempt=3),
        dead_letter(4, attempt=4),
    )
    setting.store.notes[dead_letter(4).identity] = ReplayNote(at(9), 4)
    found = await setting.listed()
    assert [x.state for x in found] == ["waiting", "waiting", "exhausted", "replayed"]
    assert [x.replayed_at for x in found] == [None, None, None, at(9)]
    assert (await setting.list()).by_state == {"waiting": 2, "exhausted": 1, "replayed": 1}
    assert await setting.found("replayed", "exhausted") == ["3:0", "4:0"]
    assert await setting.found("waiting", max_attempts=2) == ["1:0"]
    assert await setting.list.count(9) == DeadLetterCounts({"invalid": 2}, 1, 4, 4)
    assert await setting.list.count(9, max_attempts=9) == DeadLetterCounts({"invalid": 3}, 0, 4, 4)


async def test_what_is_not_recognized_is_counted() -> None:
    assert (await Setting(None, dead_letter(1), None).list()).unrecognized == 2


async def test_nothing_there() -> None:
    setting = Setting()
    found = await setting.list()
    assert (found.by_code, found.by_state, found.unrecognized, found.hidden) == ({}, {}, 0, 0)
    assert await setting.listed() == []
    setting.store.available = False  # not even asked
    assert await setting.list.count(9) == DeadLetterCounts()


async def test_progress_comes_to_the_whole() -> None:
    told: list[tuple[int, int]] = []
    await Setting(*map(dead_letter, range(5))).list(progress=lambda *now: told.append(now))
    assert told == [(n + 1, 5) for n in range(5)]


async def test_while_they_are_away() -> None:
    setting = Setting(dead_letter(1))
    setting.dead_letters.available = False
    with pytest.raises(Unavailable):
        await setting.list()


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("0:17", Reference(None, 0, 17, None)),
        ("0:17:3", Reference(None, 0, 17, 3)),
        ("orders/0:17:3", Reference("orders", 0, 17, 3)),
        ("7/0:17", Reference("7", 0, 17, None)),
    ],
)
def test_references(text: str, reference: Reference) -> None:
    assert Reference.parse(text) == reference
    assert reference.names(Identity(Origin(reference.topic or "any", 0, 17), 3))
    assert reference.names(Identity(Origin("7", 0, 17), 0)) == (
        reference.topic in (None, "7") and reference.index is None
    )


@pytest.mark.parametrize(
    "text", ["", "1", "a:b", "-1:2", "1:2:3:4", "1:2:", "/1:2", "1 :2", "\uff11:2"]
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(ValueError, match="of the form"):
        Reference.parse(text)
