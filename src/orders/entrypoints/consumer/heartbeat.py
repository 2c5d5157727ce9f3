"""A file that is touched while the consumer can do its work, for health checks of containers."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import structlog

from orders.domain.use_cases.check_readiness import Readiness

INTERVAL = 5.0
"""Seconds between two looks."""

_log = structlog.get_logger(__name__)


async def keep_heartbeat(
    path: Path,
    readiness: Callable[[], Awaitable[Readiness]],
    is_moving: Callable[[], bool],
    interval: float = INTERVAL,
) -> None:
    """Touch ``path`` every ``interval`` seconds while what is required is up and work goes on.

    Runs until it is cancelled; then removes the file. A file that cannot be written is logged, and
    does not stop the work.
    """
    try:
        while True:
            if is_moving() and (await readiness()).state != "unavailable":
                try:
                    path.touch()  # noqa: ASYNC240 (a local file; no more than a system call)
                except OSError as error:
                    _log.warning("heartbeat file cannot be written", error=error.strerror)
            await asyncio.sleep(interval)
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)  # noqa: ASYNC240
