"""One replay at a time, also when one is killed or held up."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.client.topics import TopicAdmin
from orders.adapters.kafka.replay_lock import ReplayLock
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from orders.domain.errors import ReplayInProgress, Unavailable
from tests.integration.kafka.waiting import until
from tests.integration.system.processes import free_port

SESSION = 6.0  # the brokers' least


@pytest.fixture
def locked_topic(topics: KafkaSettings) -> KafkaSettings:
    TopicAdmin(topics).ensure_replays()
    return topics


@contextmanager
def holder(settings: KafkaSettings) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds it."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("lock_holder.py"))],
        env=os.environ | {"BOOTSTRAP": settings.bootstrap, "DLQ_TOPIC": settings.dlq_topic},
        stdout=subprocess.PIPE,
    )
    try:
        assert line_of(process) == "held"
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


@asynccontextmanager
async def taken(lock: ReplayLock) -> AsyncIterator[ReplayLock]:
    """Given back in any case: the thread of one that is not goes on logging in other tests."""
    await lock.acquire()
    try:
        yield lock
    finally:
        await lock.release(at_once=True)


def line_of(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout
    return process.stdout.readline().decode().strip()


async def test_of_many_at_once_one_gets_it(locked_topic: KafkaSettings) -> None:
    locks = [ReplayLock(locked_topic, SESSION) for _ in range(4)]
    found = await asyncio.gather(*(lock.acquire() for lock in locks), return_exceptions=True)
    assert [type(result) for result in found if result] == [ReplayInProgress] * 3
    await asyncio.gather(*(lock.release(at_once=True) for lock in locks))


async def test_one_that_was_killed_keeps_it_until_its_time_is_up(
    locked_topic: KafkaSettings,
) -> None:
    with holder(locked_topic) as process:
        process.kill()
        begun = time.monotonic()
        async with taken(ReplayLock(locked_topic, SESSION)) as lock:
            waited = time.monotonic() - begun
            lock.check()
    assert SESSION - 2 < waited < SESSION + 8


async def test_what_is_not_given_back_at_once_stays_closed_as_long(
    locked_topic: KafkaSettings,
) -> None:
    first, second = ReplayLock(locked_topic, SESSION), ReplayLock(locked_topic, SESSION)
    await first.acquire()
    await first.release(at_once=False)
    begun = time.monotonic()
    async with taken(second):
        assert time.monotonic() - begun > SESSION - 2


async def test_one_that_was_frozen_too_long_has_lost_it_for_good(
    locked_topic: KafkaSettings,
) -> None:
    with holder(locked_topic) as process:
        process.send_signal(signal.SIGSTOP)
        async with taken(ReplayLock(locked_topic, SESSION)) as lock:
            process.send_signal(signal.SIGCONT)
            told: list[str] = []

            async def is_lost() -> bool:
                told.append(await asyncio.to_thread(line_of, process))
                return told[-1] == "lost"

            await until(is_lost, "the frozen one learns that it has lost it")
            # What it had said before it was frozen may still be in the pipe; after that, no more.
            thawed = told.index("unsure") if "unsure" in told else told.index("lost")
            assert "held" not in told[thawed:]
            lock.check()
        assert [await asyncio.to_thread(line_of, process) for _ in range(20)] == ["lost"] * 20


async def test_without_brokers_nobody_gets_it() -> None:
    lock = ReplayLock(
        to_kafka_settings(Settings(kafka_bootstrap=f"127.0.0.1:{free_port()}")), SESSION
    )
    with pytest.raises(Unavailable):
        await lock.acquire()
    await lock.release(at_once=True)
