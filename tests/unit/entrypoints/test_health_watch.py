"""Somebody looks all the time, so that `since` is right and the log tells of changes."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from structlog.typing import EventDict

from orders.adapters.memory.cache import MemoryCache
from orders.domain.errors import Unavailable
from orders.domain.ports import Dependency
from orders.domain.use_cases.check_readiness import CheckReadiness
from orders.entrypoints.health_watch import SERVERS, Pace, watch_health
from tests.waiting import until

QUICK = Pace(interval=0.02, again=0.005, at_start=0.2)


class Frozen(Dependency):
    """Does not stop when it is cancelled."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()

    async def check(self) -> None:
        self.entered.set()
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(60)


class CountingCache(MemoryCache):
    """Counts its checks."""

    calls = 0

    async def check(self) -> None:
        self.calls += 1
        await super().check()

    async def checked(self, times: int = 3) -> None:
        """Wait until it was checked this many times more."""
        most = self.calls + times
        await until(lambda: self.calls >= most)


class Broken(CountingCache):
    async def check(self) -> None:
        await super().check()
        if self.calls < 3:
            raise ZeroDivisionError


@pytest.fixture
def cache() -> CountingCache:
    return CountingCache(1)


@pytest.fixture
def readiness(cache: MemoryCache) -> CheckReadiness:
    return CheckReadiness({}, {"redis": cache, "other": cache})


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    with capture_logs() as seen:
        yield seen


def told(lines: list[EventDict]) -> list[tuple[str, str]]:
    return [(line["log_level"], line["event"]) for line in lines]


async def test_each_change_is_one_line(
    cache: CountingCache, readiness: CheckReadiness, lines: list[EventDict]
) -> None:
    async with watch_health(readiness, SERVERS, QUICK):
        await cache.checked()
        assert lines == []
        for _ in range(2):
            lines.clear()
            cache.available = False
            await until(lambda: len(lines) == 1)
            await cache.checked()
            cache.available = True
            await until(lambda: len(lines) == 2)
            await cache.checked()
            assert told(lines) == [("warning", "Redis is unreachable"), ("info", "Redis recovered")]
            assert lines[0]["reason"] == "the cache is down"


async def test_another_reason_is_another_line_once_it_stays(lines: list[EventDict]) -> None:
    class Failing(Dependency):
        reasons: tuple[str, ...] = ("refused",)
        calls = 0

        async def check(self) -> None:
            self.calls += 1
            raise Unavailable(self.reasons[self.calls % len(self.reasons)])

    part = Failing()
    async with watch_health(CheckReadiness({}, {"kafka": part}), SERVERS, QUICK):
        await until(lambda: bool(lines))
        for reasons, expected in ((("refused", "slow"), 1), (("slow",), 2), (("slow",), 2)):
            part.reasons = reasons
            calls = part.calls + 6
            await until(lambda calls=calls: part.calls > calls)  # type: ignore[misc]
            assert len(lines) == expected
    assert [line["reason"] for line in lines] == ["refused", "slow"]


async def test_one_answer_that_fails_is_no_news(lines: list[EventDict]) -> None:
    class Hiccups(CountingCache):
        async def check(self) -> None:
            self.available = self.calls % 2 == 0
            await super().check()

    cache = Hiccups(1)
    async with watch_health(CheckReadiness({}, {"redis": cache}), SERVERS, QUICK):
        await until(lambda: cache.calls > 8)
    assert lines == []


async def test_at_the_start_it_is_told_only_if_it_stays_away(
    cache: CountingCache, readiness: CheckReadiness, lines: list[EventDict]
) -> None:
    cache.available = False
    began = time.monotonic()
    async with watch_health(readiness, SERVERS, QUICK):
        await until(lambda: bool(lines))
        assert time.monotonic() - began > QUICK.at_start
        cache.available = True
        await until(lambda: len(lines) == 2)
    lines.clear()
    cache.available = False
    patient = replace(QUICK, at_start=60)
    async with watch_health(readiness, SERVERS, patient):
        await cache.checked()
        cache.available = True
        await cache.checked(20)
    assert lines == []


async def test_since_is_right_with_nobody_asking(
    cache: CountingCache, readiness: CheckReadiness, lines: list[EventDict]
) -> None:
    async with watch_health(readiness, SERVERS, QUICK):
        await cache.checked()
        cache.available = False
        gone = datetime.now(UTC)
        await until(lambda: len(lines) == 1)
        cache.available = True
        back = datetime.now(UTC)
        await until(lambda: len(lines) == 2)
        late = datetime.now(UTC)
        await cache.checked()
        since = (await readiness()).parts["redis"].since
    assert gone < back <= since <= late


async def test_what_was_not_foreseen_does_not_end_it(lines: list[EventDict]) -> None:
    cache = Broken(1)
    async with watch_health(CheckReadiness({}, {"redis": cache}), SERVERS, QUICK):
        await until(lambda: cache.calls > 5)
    assert told(lines) == [("error", "checking the servers failed")]


async def test_it_does_not_hold_up_the_end() -> None:
    frozen = Frozen()
    async with watch_health(CheckReadiness({}, {"redis": frozen}), SERVERS, QUICK):
        await frozen.entered.wait()
        began = time.monotonic()
    assert time.monotonic() - began < 1


async def test_another_cause_is_one_more_line(lines: list[EventDict]) -> None:
    class Down(MemoryCache):
        reasons: tuple[str, ...] = ("refuses connections",)
        calls = 0

        async def check(self) -> None:
            self.calls += 1
            raise Unavailable(self.reasons[self.calls % len(self.reasons)])

    cache = Down(1)
    async with watch_health(CheckReadiness({}, {"redis": cache}), SERVERS, QUICK):
        await until(lambda: bool(lines))
        cache.reasons = ("rejects this password",)
        await until(lambda: len(lines) == 2)
        cache.reasons, calls = ("rejects this password", "refuses connections"), cache.calls
        await until(lambda: cache.calls > calls + 6)
    assert [line["reason"] for line in lines] == ["refuses connections", "rejects this password"]


async def test_the_latest_states_are_metrics(cache: CountingCache) -> None:
    def value(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(f"orders_{name}", labels)

    begun = time.time()
    async with watch_health(CheckReadiness({}, {"metered": cache}), SERVERS, QUICK):
        await until(lambda: value("dependency_up", dependency="metered") == 1)
        assert value("dependency_degraded", dependency="metered") == 0
        cache.available = False
        await until(lambda: value("dependency_up", dependency="metered") == 0)
        assert begun < (value("dependencies_checked_timestamp_seconds") or 0) < time.time()
