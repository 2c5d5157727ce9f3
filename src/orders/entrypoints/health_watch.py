"""Checks the servers periodically.

Without this, readiness would miss outages between two requests for it, and the log would not
report servers that are not in use at the moment.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog
from msgspec import Struct

from orders.domain.use_cases.check_readiness import CheckReadiness, PartState
from orders.metrics import CHECKED, DEPENDENCY_DEGRADED, DEPENDENCY_UP

SERVERS = {"kafka": "Kafka", "redis": "Redis"}
"""Parts of readiness, and their names in the log. PostgreSQL is reported by its pool, at once."""

_END_SECONDS = 0.3
"""How long shutdown waits for a check in progress."""

_log = structlog.get_logger(__name__)


class Pace(Struct, frozen=True):
    """Seconds from the end of one check to the next.

    ``interval``: normally. ``again``: after the first check that found a server down, which may be
    a short glitch. ``at_start``: how long a server that was never up may be down before that is
    reported, since processes and servers are often started together.
    """

    interval: float = 3.0
    again: float = 1.0
    at_start: float = 8.0


@asynccontextmanager
async def watch_health(
    readiness: CheckReadiness,
    servers: Mapping[str, str],
    pace: Pace = Pace(),  # noqa: B008 (immutable)
) -> AsyncIterator[None]:
    """Check ``readiness`` periodically during the block; log when a server goes down or recovers.

    ``servers``: the parts that are logged, and their names in the log.
    """
    watching = asyncio.create_task(_watch(readiness, servers, pace))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching}, timeout=_END_SECONDS)


async def _watch(readiness: CheckReadiness, servers: Mapping[str, str], pace: Pace) -> None:
    seen = {part: _Server(name, pace) for part, name in servers.items()}
    has_failed = False
    while True:
        # The wait comes first: connections are still being opened at the start.
        in_doubt = any(server.is_in_doubt for server in seen.values())
        await asyncio.sleep(pace.again if in_doubt else pace.interval)
        try:
            parts = (await readiness()).parts
        except Exception as error:  # noqa: BLE001 (checks go on after any error)
            if not has_failed:
                _log.error("checking the servers failed", exc_info=error)
            has_failed = True
            continue
        has_failed = False
        CHECKED.set_to_current_time()
        for part, found in parts.items():
            DEPENDENCY_UP.labels(part).set(found.state != "down")
            DEPENDENCY_DEGRADED.labels(part).set(found.state == "degraded")
        for part, server in seen.items():
            if part in parts:
                server.note(parts[part])


class _Server:
    """The state of one server, and what was reported of it."""

    def __init__(self, name: str, pace: Pace) -> None:
        self._name = name
        self._pace = pace
        self._begun = time.monotonic()
        self._was_up = False
        self._reported: str | None = None
        self._last_reason: str | None = None
        self.is_in_doubt = False

    def note(self, found: PartState) -> None:
        if found.state != "down":
            if self._reported:
                _log.info(f"{self._name} recovered")
            self._was_up, self._reported, self.is_in_doubt = True, None, False
            return
        if self._reported:
            # Another reason may be no more than a slow answer, unless it stays.
            is_news = self._reported != found.reason == self._last_reason
        else:
            age = time.monotonic() - self._begun
            is_news = self.is_in_doubt and (self._was_up or age >= self._pace.at_start)
        if is_news:
            _log.warning(f"{self._name} is unreachable", reason=found.reason)
            self._reported = found.reason
        self._last_reason = found.reason
        self.is_in_doubt = not self._reported
