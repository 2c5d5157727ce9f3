"""Somebody looks all the time, so that `since` is right and the log tells of changes."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from orders.adapters.memory.cache import MemoryCache
from orders.domain.ports import Dependency
from orders.domain.use_cases.check_readiness import CheckReadiness
from orders.entrypoints.health_watch import SERVERS, Pace, watch_health

QUICK = Pace(interval=0.02, again=0.005, at_start=0.2)


class Frozen(Dependency):
    """Does not even stop when it is told to."""

    async def check(self) -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(60)


class Broken(MemoryCache):
    calls = 0

    async def check(self) -> None:
        self.calls += 1
        if self.calls < 3:
            raise ZeroDivisionError


@pytest.fixture
def cache() -> MemoryCache:
    return MemoryCache(1)


@pytest.fixture
def readiness(cache: MemoryCache) -> CheckReadiness:
    return CheckReadiness({}, {"redis": cache, "other": cache})


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    with capture_logs() as seen:
        yield seen


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def told(lines: list[EventDict]) -> list[tuple[str, str]]:
    return [(line["log_level"], line["event"]) for line in lines]


async def test_each_change_is_one_line(
    cache: MemoryCache, readiness: CheckReadiness, lines: list[EventDict]
) -> None:
    async with watch_health(readiness, SERVERS, QUICK):
        await asyncio.sleep(0.06)
        assert lines == []
        for _ in range(2):
            lines.clear()
            cache.available = False
            await until(lambda: len(lines) == 1)
            await asyncio.sleep(0.06)
            cache.available = True
            await until(lambda: len(lines) == 2)
            await asyncio.sleep(0.06)
            assert told(lines) == [("warning", "Redis is unreachable"), ("info", "Redis recovered")]
            assert lines[0]["reason"] == "the cache is down"


async def test_one_answer_that_fails_is_no_news(lines: list[EventDict]) -> None:
    class Hiccups(MemoryCache):
        calls = 0

        async def check(self) -> None:
            self.calls += 1
            self.available = self.calls % 2 == 1
            await super().check()

    cache = Hiccups(1)
    async with watch_health(CheckReadiness({}, {"redis": cache}), SERVERS, QUICK):
        await until(lambda: cache.calls > 8)
    assert lines == []


async def test_at_the_start_it_is_told_only_if_it_stays_away(
    cache: MemoryCache, readiness: CheckReadiness, lines: list[EventDict]
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
    async with watch_health(readiness, SERVERS, QUICK):
        await asyncio.sleep(0.06)
        cache.available = True
        await asyncio.sleep(0.3)
    assert lines == []


async def test_since_is_right_with_nobody_asking(
    cache: MemoryCache, readiness: CheckReadiness, lines: list[EventDict]
) -> None:
    async with watch_health(readiness, SERVERS, QUICK):
        await asyncio.sleep(0.06)
        cache.available = False
        gone = datetime.now(UTC)
        await until(lambda: len(lines) == 1)
        cache.available = True
        back = datetime.now(UTC)
        await until(lambda: len(lines) == 2)
        late = datetime.now(UTC)
        await asyncio.sleep(0.1)
        since = (await readiness()).parts["redis"].since
    assert gone < back <= since <= late


async def test_what_was_not_foreseen_does_not_end_it(lines: list[EventDict]) -> None:
    cache = Broken(1)
    async with watch_health(CheckReadiness({}, {"redis": cache}), SERVERS, QUICK):
        await until(lambda: cache.calls > 5)
    assert told(lines) == [("error", "checking the servers failed")]


async def test_it_does_not_hold_up_the_end() -> None:
    readiness = CheckReadiness({}, {"redis": Frozen()})
    began = time.monotonic()
    async with watch_health(readiness, SERVERS, QUICK):
        await asyncio.sleep(0.05)
    assert time.monotonic() - began < 1
