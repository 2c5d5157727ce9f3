"""A file that is touched while the consumer can do its work, for health checks of containers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from orders.domain.use_cases.check_readiness import Readiness

INTERVAL = 5.0
"""Seconds between two looks."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def heartbeat(
    path: Path, readiness: Callable[[], Awaitable[Readiness]], interval: float = INTERVAL
) -> AsyncIterator[None]:
    """Touch ``path`` every ``interval`` seconds of the block while what is required is up.

    Removes the file in the end. A file that cannot be written is logged, and does not stop the
    work.
    """
    beating = asyncio.create_task(_beat(path, readiness, interval))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        with suppress(OSError):
            path.unlink(missing_ok=True)  # noqa: ASYNC240


async def _beat(path: Path, readiness: Callable[[], Awaitable[Readiness]], interval: float) -> None:
    while True:
        if (await readiness()).state != "unavailable":
            try:
                path.touch()  # noqa: ASYNC240 (a local file; no more than a system call)
            except OSError as error:
                _log.warning("heartbeat file cannot be written", error=error.strerror)
        await asyncio.sleep(interval)
