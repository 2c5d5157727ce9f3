"""GET /metrics."""

import asyncio

from litestar.handlers import HTTPRouteHandler

from orders.daemon_thread import in_daemon_thread
from orders.entrypoints.health_server import SHARED_SECONDS
from orders.entrypoints.http import worker_metrics
from orders.entrypoints.http.access.scopes import NOTHING, declared
from orders.entrypoints.http.responses import NO_STORE, RawResponse
from orders.entrypoints.http.routes import READ
from orders.metrics import CONTENT_TYPE


def route() -> HTTPRouteHandler:
    """Create the route."""
    latest: asyncio.Task[bytes] | None = None
    begun = 0.0

    @READ("/metrics", include_in_schema=False, opt=declared(NOTHING))
    async def get_metrics() -> RawResponse:
        nonlocal latest, begun
        now = asyncio.get_running_loop().time()
        if latest is None or (latest.done() and now - begun >= SHARED_SECONDS):
            latest = asyncio.create_task(in_daemon_thread(worker_metrics.exposition))
            begun = now
        text = await asyncio.shield(latest)
        return RawResponse.of(text, NO_STORE, media_type=CONTENT_TYPE.encode())

    return get_metrics
