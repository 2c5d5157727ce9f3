"""A consumer on memory that something holds up; the first argument says what.

Says "held up" on standard output when it is.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Sequence

import structlog
from dependency_injector import providers

from orders.bootstrap import Container, build_in_memory
from orders.config import Settings
from orders.domain.intake.messages import Message
from orders.domain.intake.prefetcher import INLINE_BYTES
from orders.domain.use_cases.ingest_batch import IngestBatch, ParsedBatch
from orders.entrypoints.consumer.consume import consume
from orders.entrypoints.startup import start_logging
from tests.unit.http.harness import order

_log = structlog.get_logger(__name__)


class NothingToMigrate:
    async def verify(self) -> Sequence[str]:
        return ()


def hold_up() -> None:
    sys.stdout.write("held up\n")
    sys.stdout.flush()
    time.sleep(60)


def log_without_end() -> None:
    sys.stdout.write("held up\n")
    sys.stdout.flush()
    while True:
        _log.info("x" * 1000)


class SlowReading(IngestBatch):
    def prepare(self, messages: Sequence[Message]) -> ParsedBatch:
        hold_up()
        return super().prepare(messages)


def loop_is_blocked(_: Container) -> None:
    asyncio.get_running_loop().call_soon(hold_up)


def log_is_not_read(_: Container) -> None:
    asyncio.get_running_loop().call_soon(log_without_end)


def thread_of_the_loop(_: Container) -> None:
    asyncio.get_running_loop().run_in_executor(None, hold_up)


def thread_of_its_own(_: Container) -> None:
    threading.Thread(target=hold_up).start()


def message_is_being_read(container: Container) -> None:
    container.ingest.override(
        providers.Singleton(
            SlowReading,
            container.repository,
            container.dead_letters,
            container.cache,
            1,
            erasure=container.erasure,
        )
    )


WAYS: dict[str, Callable[[Container], None]] = {
    way.__name__: way
    for way in (
        loop_is_blocked,
        log_is_not_read,
        thread_of_the_loop,
        thread_of_its_own,
        message_is_being_read,
    )
}


async def run(way: str) -> None:
    settings = Settings(migrate_on_start=False, log_format="json")
    start_logging(settings, "consumer")
    container = build_in_memory(settings)
    container.migrator.override(providers.Object(NothingToMigrate()))
    container.consumer_resources.override(providers.List())
    container.cache_resources.override(providers.List())
    asyncio.get_running_loop().call_later(0.3, WAYS[way], container)
    if way == "message_is_being_read":
        message_is_being_read(container)
    await container.publisher().publish([order(locale="x" * INLINE_BYTES)])
    await consume(settings, container)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
