"""The application of one serving process, on its container."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog

from orders.bootstrap import Container, build, build_in_memory, open_all
from orders.config import Settings
from orders.daemon_thread import in_daemon_thread
from orders.domain.errors import Unavailable
from orders.entrypoints.health_watch import SERVERS, watch_health
from orders.entrypoints.http.app import create_app
from orders.entrypoints.http.asgi_types import ASGIApp
from orders.entrypoints.http.lifespan import Lifespan
from orders.entrypoints.http.use_cases import Limits, Topics, UseCases
from orders.entrypoints.startup import (
    exit_on_error,
    migrate_patiently,
    start_logging,
)

log = structlog.get_logger(__name__)


def create(settings: Settings) -> ASGIApp:
    """The application on real servers."""
    start_logging(settings, "api")
    container = build(settings)
    return _app(container, settings, partial(_on_servers, container, settings))


def create_in_memory(settings: Settings) -> ASGIApp:
    """The application on memory, with a consumer in the same process."""
    start_logging(settings, "api")
    container = build_in_memory(settings)
    return _app(container, settings, partial(_in_memory, container))


def _app(container: Container, settings: Settings, lifespan: Lifespan) -> ASGIApp:
    use_cases = UseCases(
        look_up=container.look_up(),
        list_orders=container.list_orders(),
        publish_document=container.publish_document(),
        publish_random=container.publish_random(),
        readiness=container.readiness(),
    )
    limits = Limits(settings.random_max, settings.http_max_body)
    topics = Topics(settings.kafka_topic, settings.kafka_dlq_topic, settings.kafka_group)
    return create_app(use_cases, limits, lifespan, topics=topics)


@asynccontextmanager
async def _on_servers(container: Container, settings: Settings) -> AsyncIterator[None]:
    async with (
        open_all(
            *container.cache_resources(),
            *container.look_up_resources(),
            *container.api_resources(),
        ),
        _in_background(_prepare(container, settings)),
        watch_health(container.readiness(), SERVERS),
    ):
        yield


@asynccontextmanager
async def _in_memory(container: Container) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with (
        open_all(*container.look_up_resources()),
        _in_background(container.ingest_pipeline(run_in_thread=in_daemon_thread).run(stop)),
    ):
        yield
        stop.set()


async def _prepare(container: Container, settings: Settings) -> None:
    """What a start has to do, while requests are served already as far as that goes."""
    if settings.migrate_on_start:
        await migrate_patiently(container.migrator())
    with suppress(Unavailable):  # the cache fills by itself, only later
        log.info("cache warmed up", orders=await container.warm_up()())


@asynccontextmanager
async def _in_background(work: Awaitable[None]) -> AsyncIterator[None]:
    """Run ``work`` in the background; where it fails, the process ends and its code says why."""

    async def watched() -> None:
        with exit_on_error():
            await work

    task = asyncio.create_task(watched())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
