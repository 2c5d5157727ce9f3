"""Runs the ingest pipeline, with health checks, until a signal stops it."""

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from functools import partial

import structlog

from orders.bootstrap import Container, open_all
from orders.config import Settings
from orders.domain.use_cases.check_readiness import Readiness
from orders.entrypoints.consumer.allocator import trim_heap
from orders.entrypoints.consumer.stop_signals import stop_signals
from orders.entrypoints.health_server import serve_health_checks
from orders.entrypoints.health_watch import SERVERS, watch_health
from orders.entrypoints.startup import end, in_background, migrate_patiently

log = structlog.get_logger(__name__)


class ConsumerReadiness(Readiness, frozen=True):
    """Readiness; ``moving`` is false if a batch has been in storing for a minute."""

    moving: bool


async def consume(settings: Settings, container: Container) -> None:
    """Run the ingest pipeline of ``container`` until the first SIGTERM or SIGINT.

    Raises:
        UnsuitableDatabase: it has a newer schema, or its encoding is not UTF-8.
        OrdersError: the message source has failed permanently.
    """
    stop = asyncio.Event()
    running = asyncio.get_running_loop()

    def stopping() -> None:
        log.info("stopping")
        stop.set()

    with stop_signals(partial(running.call_soon_threadsafe, stopping)):
        async with _health(settings, container):
            await _work(settings, container, stop)


async def _work(settings: Settings, container: Container, stop: asyncio.Event) -> None:
    async with (
        open_all(
            *container.tracing_resources(),
            *container.cache_resources(),
            *container.consumer_resources(),
        ),
        watch_health(container.consumer_readiness(), SERVERS),
        in_background(trim_heap()),
    ):
        log.info("started", topic=settings.kafka_topic, group=settings.kafka_group)
        migrating = migrate_patiently(container.migrator(), apply=settings.migrate_on_start)
        await _unless_stopped(migrating, stop)
        if not stop.is_set():
            async with in_background(container.follow_tombstones().run()):
                await container.ingest_pipeline().run(stop)


def _health(settings: Settings, container: Container) -> AbstractAsyncContextManager[None]:
    readiness = container.consumer_readiness()

    async def report() -> ConsumerReadiness:
        found = await readiness()
        return ConsumerReadiness(found.state, found.parts, not container.store_health().is_stuck)

    return serve_health_checks(
        settings.consumer_health_host,
        settings.consumer_health_port,
        report,
        ConsumerReadiness("unavailable", {}, moving=False),
    )


async def _unless_stopped(work: Awaitable[None], stop: asyncio.Event) -> None:
    """Wait for ``work``, but no longer than until ``stop``."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not task.done():
        await end(task)
        return
    task.result()
