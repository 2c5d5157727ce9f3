"""All parts are looked at, and none of them hides another."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from msgspec.structs import replace

from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.inspection import MemoryInspection
from orders.adapters.memory.replay_journal import MemoryJournalStore, MemoryReplayJournal
from orders.domain.errors import Unavailable
from orders.domain.ports import Entry, Finding, FindingState, Inspection, Places
from orders.domain.use_cases.inspect_dead_letters import InspectDeadLetters
from orders.domain.use_cases.inspect_system import InspectSystem, worst
from orders.domain.use_cases.list_dead_letters import ListDeadLetters
from tests.contracts.dead_letters import dead_letter


class Failing(Inspection):
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def inspect(self) -> Sequence[Finding]:
        if self.error:
            raise self.error
        await asyncio.Event().wait()
        return []


class Meeting(Inspection):
    """Answers as soon as as many of them are looked at as meet at the barrier."""

    def __init__(self, barrier: asyncio.Barrier) -> None:
        self.barrier = barrier

    async def inspect(self) -> Sequence[Finding]:
        await self.barrier.wait()
        return [finding("ok")]


def finding(state: FindingState, part: str = "x") -> Finding:
    return Finding(part, "thing", state, "text", "advice")


def part(name: str, *states: FindingState) -> MemoryInspection:
    return MemoryInspection(name, [finding(state, name) for state in states])


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], "ok"),
        (["ok", "ok"], "ok"),
        (["ok", "warning", "ok"], "warning"),
        (["warning", "problem", "ok"], "problem"),
    ],
)
def test_the_worst_counts(states: list[FindingState], expected: FindingState) -> None:
    assert worst([finding(state) for state in states]) == expected


async def test_all_that_was_found_in_the_order_of_the_parts() -> None:
    report = await InspectSystem({"b": part("b", "warning"), "a": part("a", "ok")}, {})()
    assert [(f.part, f.state) for f in report.findings] == [
        ("b", "ok"),
        ("b", "warning"),
        ("a", "ok"),
        ("a", "ok"),
    ]
    assert report.state == "warning"


async def test_all_parts_are_looked_at_at_once() -> None:
    barrier = asyncio.Barrier(3)
    report = await InspectSystem({name: Meeting(barrier) for name in "abc"}, {})()
    assert report.state == "ok"


async def test_parts_that_do_not_answer_are_given_up() -> None:
    parts = {"one": Failing(), "two": Failing(), "good": part("good")}
    report = await InspectSystem(parts, {}, timeout=0.02)()
    assert [(f.part, f.state) for f in report.findings] == [
        ("one", "problem"),
        ("two", "problem"),
        ("good", "ok"),
    ]
    assert report.findings[0].text == "no answer within 0.02 s"
    assert report.findings[0].advice


async def test_what_nobody_foresaw_is_a_problem_without_its_text() -> None:
    parts = {"bad": Failing(ValueError("secret")), "away": Failing(Unavailable("it is down"))}
    bad, away = (await InspectSystem(parts, {})()).findings
    assert bad.state == away.state == "problem"
    assert "ValueError" in bad.text
    assert "secret" not in bad.text
    assert away.text == "it is down"


@pytest.mark.parametrize("available", [True, False])
async def test_what_lies_behind_a_part_is_looked_at_where_that_can_be_reached(
    available: bool,
) -> None:
    front = part("front", "problem")
    front.available = available
    report = await InspectSystem({"front": front}, {"front": {"back": part("back")}})()
    assert ("back" in {f.part for f in report.findings}) is available


class NoPlace(MemoryDeadLetterReader):
    async def approximate_count(self) -> int | None:
        return None


async def test_of_dead_letters_without_a_place_it_is_not_said_that_none_wait() -> None:
    journal = MemoryReplayJournal(MemoryJournalStore())
    listing = ListDeadLetters(NoPlace(MemoryDeadLetters()), journal)
    (unknown,) = await InspectDeadLetters(listing).inspect()
    assert (unknown.what, unknown.state) == ("waiting", "warning")
    assert "unknown" in unknown.text


async def test_what_lies_behind_a_part_does_not_wait_for_others() -> None:
    barrier = asyncio.Barrier(2)
    parts = {"slow": Meeting(barrier), "front": part("front")}
    report = await InspectSystem(parts, {"front": {"back": Meeting(barrier)}})()
    assert report.state == "ok"


async def test_dead_letters_that_wait_are_a_warning() -> None:
    dead_letters = MemoryDeadLetters()
    listing = ListDeadLetters(
        MemoryDeadLetterReader(dead_letters), MemoryReplayJournal(MemoryJournalStore())
    )
    (none,) = await InspectDeadLetters(listing).inspect()
    assert (none.state, none.text) == ("ok", "none")
    await dead_letters.put(
        [dead_letter(offset=1), dead_letter(offset=2), dead_letter(offset=3, code="conflict")]
    )
    (some,) = await InspectDeadLetters(listing).inspect()
    assert some.state == "warning"
    assert some.text == "3 to be handled: 1 conflict, 2 undecodable"
    assert "orders dlq list" in some.advice
    await dead_letters.put([replace(dead_letter(offset=4), attempt=3)])
    (_, exhausted) = await InspectDeadLetters(listing).inspect()
    assert (exhausted.what, exhausted.state) == ("exhausted", "warning")
    assert exhausted.text.startswith("1 failed 3 times or more")
    assert "--state exhausted" in exhausted.advice


class Endless(MemoryDeadLetterReader):
    """More than anybody waits for."""

    async def approximate_count(self) -> int:
        return 1_000_000

    async def read(self, places: Places | None = None) -> AsyncIterator[Entry]:
        async for entry in super().read(places):
            yield entry
        await asyncio.Event().wait()


@pytest.mark.parametrize("amount", [0, 2])
async def test_of_very_many_dead_letters_the_first_are_counted(amount: int) -> None:
    dead_letters = MemoryDeadLetters()
    await dead_letters.put([dead_letter(offset=n) for n in range(amount)])
    listing = ListDeadLetters(Endless(dead_letters), MemoryReplayJournal(MemoryJournalStore()))
    (found,) = await InspectDeadLetters(listing, reading_seconds=0.05).inspect()
    assert found.state == "warning"
    number = "2 to be handled: 2 undecodable" if amount else "none"
    assert found.text == f"{number} (among the first {amount} of about 1000000 records)"
    assert "orders dlq list" in found.advice
