"""Which parts work, and what that means for the whole."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.domain.errors import Degraded, Unavailable
from orders.domain.ports import Dependency
from orders.domain.use_cases.check_readiness import CheckReadiness, PartState, Readiness

START = datetime(2024, 1, 1, tzinfo=UTC)


class Frozen(Dependency):
    async def check(self) -> None:
        await asyncio.Event().wait()


class Meeting(Dependency):
    """Answers as soon as as many of them are checked as meet at the barrier."""

    def __init__(self, barrier: asyncio.Barrier) -> None:
        self.barrier = barrier

    async def check(self) -> None:
        await self.barrier.wait()


class Setting:
    """Two parts that can be away, and a clock."""

    def __init__(self) -> None:
        self.now = START
        self.needed = MemoryDeadLetters()
        self.nice = MemoryCache(1)
        self.check = CheckReadiness({"needed": self.needed}, {"nice": self.nice}, lambda: self.now)

    async def states(self) -> tuple[str, str, str]:
        report = await self.check()
        return report.state, report.parts["needed"].state, report.parts["nice"].state


@pytest.fixture
def setting() -> Setting:
    return Setting()


async def test_all_up_is_ready(setting: Setting) -> None:
    assert await setting.states() == ("ready", "up", "up")


async def test_without_a_optional_part_it_is_degraded(setting: Setting) -> None:
    setting.nice.available = False
    assert await setting.states() == ("degraded", "up", "down")


async def test_without_a_required_part_it_is_unavailable(setting: Setting) -> None:
    setting.needed.available = False
    assert await setting.states() == ("unavailable", "down", "up")
    setting.nice.available = False
    assert await setting.states() == ("unavailable", "down", "down")


class Newer(Dependency):
    async def check(self) -> None:
        raise Degraded("the schema is newer")


async def test_a_required_part_that_is_degraded_works() -> None:
    for required, optional in (({"it": Newer()}, {}), ({}, {"it": Newer()})):
        report = await CheckReadiness(required, optional, lambda: START)()
        assert report.state == "degraded"
        assert report.parts["it"] == PartState("degraded", START, "the schema is newer")
    report = await CheckReadiness({"it": Newer(), "full": Full()}, {})()
    assert report.state == "unavailable"


async def test_it_is_ready_again_by_itself(setting: Setting) -> None:
    setting.needed.available = False
    await setting.check()
    setting.needed.available = True
    assert await setting.states() == ("ready", "up", "up")


async def test_it_is_said_why_and_since_when(setting: Setting) -> None:
    await setting.check()
    setting.now += timedelta(minutes=1)
    setting.nice.available = False
    first = (await setting.check()).parts["nice"]
    assert first == PartState("down", START + timedelta(minutes=1), "the cache is down")
    setting.now += timedelta(minutes=1)
    report = await setting.check()
    assert report.parts["nice"] == first
    assert report.parts["needed"] == PartState("up", START, None)


class Full(Dependency):
    async def check(self) -> None:
        raise Unavailable("disk full", since=START - timedelta(hours=1))


async def test_a_part_that_knows_since_when_it_is_down_is_believed() -> None:
    report = await CheckReadiness({"full": Full()}, {}, lambda: START)()
    assert report.parts["full"] == PartState("down", START - timedelta(hours=1), "disk full")


async def test_all_parts_are_checked_at_once() -> None:
    barrier = asyncio.Barrier(2)
    report = await CheckReadiness({"one": Meeting(barrier)}, {"other": Meeting(barrier)})()
    assert report.state == "ready"


async def test_parts_that_do_not_answer_are_down() -> None:
    report = await CheckReadiness({}, {"one": Frozen(), "other": Frozen()})()
    assert report.state == "degraded"
    assert {part.reason for part in report.parts.values()} == {"no answer within 1 s"}


async def test_without_parts_it_is_ready() -> None:
    assert (await CheckReadiness({}, {})()).state == "ready"


class Counted(Dependency):
    def __init__(self) -> None:
        self.checks = 0
        self.is_asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def check(self) -> None:
        self.checks += 1
        self.is_asked.set()
        await self.may_answer.wait()


async def test_many_callers_at_a_time_share_one_check_and_later_ones_have_another() -> None:
    part = Counted()
    readiness = CheckReadiness({"it": part}, {})
    callers = [asyncio.create_task(readiness()) for _ in range(100)]
    await part.is_asked.wait()
    callers[0].cancel()
    part.may_answer.set()
    reports = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(reports[0], asyncio.CancelledError)
    assert [report.state for report in reports[1:] if isinstance(report, Readiness)] == [
        "ready"
    ] * 99
    assert part.checks == 1
    await readiness()
    assert part.checks == 2
