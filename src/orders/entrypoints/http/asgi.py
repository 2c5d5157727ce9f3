"""Creates the application of one server process from its container."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import structlog

from orders.bootstrap import Container, build, build_in_memory, open_all
from orders.config import Settings
from orders.daemon_thread import in_daemon_thread
from orders.domain.errors import OrdersError
from orders.domain.use_cases.check_readiness import Readiness
from orders.domain.use_cases.warm_up_cache import WarmUpCache
from orders.entrypoints.audit import open_audit
from orders.entrypoints.health_server import serve_health_checks
from orders.entrypoints.health_watch import SERVERS, watch_health
from orders.entrypoints.http import worker_metrics
from orders.entrypoints.http.app import create_app
from orders.entrypoints.http.asgi_types import ASGIApp
from orders.entrypoints.http.lifespan import Lifespan
from orders.entrypoints.http.use_cases import UseCases
from orders.entrypoints.startup import (
    in_background,
    migrate_patiently,
    start_logging,
)

log = structlog.get_logger(__name__)


def create(settings: Settings) -> ASGIApp:
    """Create the application on PostgreSQL, Redis and Kafka."""
    start_logging(settings, "api")
    container = build(settings, "api")
    return _app(container, settings, partial(_on_servers, container, settings))


def create_in_memory(settings: Settings) -> ASGIApp:
    """Create the application on in-memory adapters, with a consumer in the same process."""
    start_logging(settings, "api")
    container = build_in_memory(settings)
    return _app(container, settings, partial(_in_memory, container, settings))


def _app(container: Container, settings: Settings, lifespan: Lifespan) -> ASGIApp:
    use_cases = UseCases(
        look_up=container.look_up(),
        list_orders=container.list_orders(),
        publish_document=container.publish_document(),
        publish_random=container.publish_random(),
        readiness=container.readiness(),
        forget=container.forget_orders(),
        watch=container.watch_orders(),
    )
    app = create_app(use_cases, settings, lifespan, audit=open_audit(settings, "api"))
    tracing = container.tracing()
    if tracing is None:
        return app
    from orders.entrypoints.http.traced_requests import TracedRequests  # noqa: PLC0415 (an extra)

    return TracedRequests(app, tracing.tracer)


@asynccontextmanager
async def _on_servers(container: Container, settings: Settings) -> AsyncIterator[None]:
    async with (
        open_all(
            *container.tracing_resources(),
            *container.cache_resources(),
            *container.look_up_resources(),
            *container.api_resources(),
        ),
        _health(settings, container),
        in_background(_prepare(container, settings)),
        in_background(container.follow_tombstones().run()),
        in_background(container.watch_orders().run()),
        watch_health(container.readiness(), SERVERS),
    ):
        yield


@asynccontextmanager
async def _in_memory(container: Container, settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with (
        open_all(*container.tracing_resources(), *container.look_up_resources()),
        _health(settings, container),
        in_background(container.watch_orders().run()),
        in_background(container.ingest_pipeline(run_in_thread=in_daemon_thread).run(stop)),
    ):
        yield
        stop.set()


def _health(settings: Settings, container: Container) -> AbstractAsyncContextManager[None]:
    return serve_health_checks(
        settings.http_health_host,
        settings.http_health_port,
        container.readiness(),
        Readiness("unavailable", {}),
        exposition=worker_metrics.exposition,
        is_shared=settings.http_workers > 1,
    )


async def _prepare(container: Container, settings: Settings) -> None:
    """Apply migrations and warm up the cache; requests are served in the meantime."""
    await migrate_patiently(container.migrator(), apply=settings.migrate_on_start)
    await _warm_up(container.warm_up())


async def _warm_up(warm_up: WarmUpCache) -> None:
    """Warm up the cache; no failure ends the process, since look-ups fill the cache later."""
    try:
        log.info("cache warmed up", orders=await warm_up())
    except OrdersError as error:
        log.warning("cache not warmed up", reason=str(error))
    except Exception as error:  # noqa: BLE001
        log.warning("cache not warmed up", reason=f"failed with {type(error).__name__}")
