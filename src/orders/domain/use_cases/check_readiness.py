"""Checks whether this process is ready, and which dependencies are down."""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import Context
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from orders.domain.errors import Degraded, OrdersError, Unavailable
from orders.domain.ports import Dependency

TIMEOUT = 1.0
"""Seconds within which a dependency must answer; callers of health checks wait no longer."""


class PartState(Struct, frozen=True, omit_defaults=True):
    """The state of a dependency, and since when, as seen by this process.

    ``degraded``: it works, and ``reason`` says what an operator should know.
    """

    state: Literal["up", "degraded", "down"]
    since: datetime
    reason: str | None = None


class Readiness(Struct, frozen=True):
    """``degraded``: not all are up, but the required ones work; ``unavailable``: one does not."""

    state: Literal["ready", "degraded", "unavailable"]
    parts: Mapping[str, PartState]


class CheckReadiness:
    """Checks ``required`` and ``optional`` dependencies."""

    def __init__(
        self,
        required: Mapping[str, Dependency],
        optional: Mapping[str, Dependency],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._required = dict(required)
        self._optional = dict(optional)
        self._now = now
        self._last: dict[str, PartState] = {}
        self._running: asyncio.Task[Readiness] | None = None

    async def __call__(self) -> Readiness:
        """Check all dependencies concurrently, within ``TIMEOUT`` seconds.

        Callers share a check that is running. Anybody may ask for readiness: with a check for each
        of many callers, these would wait for one another and find servers down that are up.
        """
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._check(), context=Context())
        return await asyncio.shield(self._running)  # one that leaves does not cancel it for others

    async def _check(self) -> Readiness:
        parts = self._required | self._optional
        states = await asyncio.gather(*(self._ask(name, part) for name, part in parts.items()))
        report = dict(zip(parts, states, strict=True))
        if any(report[name].state == "down" for name in self._required):
            return Readiness("unavailable", report)
        is_ready = all(part.state == "up" for part in states)
        return Readiness("ready" if is_ready else "degraded", report)

    async def _ask(self, name: str, part: Dependency) -> PartState:
        reason = known_since = None
        state: Literal["up", "degraded", "down"] = "down"
        try:
            async with asyncio.timeout(TIMEOUT):
                await part.check()
            state = "up"
        except Degraded as error:
            state, reason = "degraded", str(error)
        except OrdersError as error:
            reason = str(error)
            known_since = error.since if isinstance(error, Unavailable) else None
        except TimeoutError:
            reason = f"no answer within {TIMEOUT:g} s"
        last = self._last.get(name)
        since = known_since or (last.since if last and last.state == state else self._now())
        found = self._last[name] = PartState(state, since, reason)
        return found
