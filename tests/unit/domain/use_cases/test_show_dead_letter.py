"""One dead letter, and what today's rules say of it."""

import json
from datetime import timedelta
from itertools import permutations

import pytest

from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.replay_journal import MemoryJournalStore, MemoryReplayJournal
from orders.domain.dead_letters.index import Reference
from orders.domain.errors import Invalid, NotFound
from orders.domain.intake.messages import DeadLetter
from orders.domain.use_cases.show_dead_letter import ShowDeadLetter, ShownDeadLetter
from tests import builders
from tests.builders import START
from tests.unit.domain.order.reference import REFERENCE


def dead_letter(value: bytes | None, offset: int = 1, index: int = 0, hours: int = 0) -> DeadLetter:
    return builders.dead_letter(offset, index, value=value, hours=hours)


async def shown(reference: str, *written: DeadLetter | None) -> ShownDeadLetter:
    dead_letters = MemoryDeadLetters()
    dead_letters.written += written
    journal = MemoryReplayJournal(MemoryJournalStore())
    show = ShowDeadLetter(MemoryDeadLetterReader(dead_letters), journal)
    return await show(Reference.parse(reference))


async def test_all_faults_by_path() -> None:
    bad = REFERENCE | {"sm_id": "x", "payment": REFERENCE["payment"] | {"amount": -1}}
    found = await shown("0:1", None, dead_letter(b"{}", 2), dead_letter(json.dumps(bad).encode()))
    assert sorted(map(str, found.faults)) == [
        "$.payment.amount: must not be negative and must fit 64 bits",
        "$.sm_id: expected int, got str",
    ]
    assert (found.code_now, found.orders, found.copies, found.state) == ("invalid", 0, 1, "waiting")


async def test_what_would_be_valid_today() -> None:
    found = await shown("orders/0:1:0", dead_letter(json.dumps(REFERENCE).encode()))
    assert (found.code_now, found.faults, found.orders) == (None, (), 1)


@pytest.mark.parametrize(
    ("value", "code"), [(None, "empty"), (b" ", "empty"), (b"{", "undecodable")]
)
async def test_what_is_no_document(value: bytes | None, code: str) -> None:
    found = await shown("0:1", dead_letter(value))
    assert (found.code_now, len(found.faults), found.orders) == (code, 1, 0)


async def test_nothing_is_said_of_content_that_was_not_kept() -> None:
    found = await shown("0:1", builders.dead_letter(value=None, omitted=1))
    assert (found.code_now, found.faults, found.orders) == (None, (), 0)


async def test_the_newest_copy_is_shown() -> None:
    found = await shown("0:1", *(dead_letter(b"1", hours=hours) for hours in (1, 3, 2)))
    assert (found.dead_letter.failed_at, found.copies) == (START + timedelta(hours=3), 3)


async def test_of_several_messages_of_one_name_the_newest_is_shown() -> None:
    written = [dead_letter(b"1", hours=1), dead_letter(b"2", hours=3), dead_letter(b"1", hours=2)]
    for order in permutations(written):
        found = await shown("0:1", *order)
        assert (found.dead_letter.value, found.copies) == (b"2", 1)


async def test_what_is_not_there_and_what_is_not_the_only_one() -> None:
    with pytest.raises(NotFound):
        await shown("0:2", dead_letter(b"1"), None)
    with pytest.raises(Invalid, match=r"2 dead letters.*orders/0:1:0, orders/0:1:5"):
        await shown("0:1", dead_letter(b"1"), dead_letter(b"1", index=5))
    assert (
        await shown("0:1:5", dead_letter(b"1"), dead_letter(b"2", index=5))
    ).dead_letter.value == b"2"
