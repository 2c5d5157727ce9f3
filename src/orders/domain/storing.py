"""Whether batches can be stored, as those who store them find: no server need be asked."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct

from orders.domain.errors import Unavailable
from orders.domain.ports import Dependency

STUCK_AFTER = 60.0
"""Seconds that storing one batch may take before it counts as stuck."""


class _Moment(Struct, frozen=True):
    at: datetime
    clock: float

    @classmethod
    def now(cls) -> "_Moment":
        return cls(datetime.now(UTC), time.monotonic())

    @property
    def seconds_ago(self) -> float:
        return time.monotonic() - self.clock


class Storing(Dependency):
    """A part of the consumer's readiness that servers which answer do not make up for.

    A database may answer and yet take nothing: a full disk, a lock that is held, a read-only mode;
    or the brokers may not acknowledge dead letters. Several batches may be at it at once.
    """

    def __init__(self) -> None:
        self._attempts: list[Attempt] = []  # the oldest first

    def begin(self) -> "Attempt":
        """Note that a batch is about to be stored."""
        attempt = Attempt(self._attempts)
        self._attempts.append(attempt)
        return attempt

    @property
    def is_stuck(self) -> bool:
        """Whether one batch has been at it for long, be it by failures or without an answer."""
        return any(attempt.begun.seconds_ago >= STUCK_AFTER for attempt in self._attempts)

    async def check(self) -> None:
        """See ``Dependency.check``: no batch's latest attempt failed, nor takes too long."""
        failing = _failing(self._attempts)
        if failing:
            first = min(failing, key=lambda failed: failed[0].at)
            raise Unavailable(failing[-1][1], since=first[0].at)
        if self.is_stuck:
            reason = f"one batch has not been stored for more than {STUCK_AFTER:g} s"
            raise Unavailable(reason, since=self._attempts[0].begun.at)


class Attempt:
    """The storing of one batch, from ``Storing.begin`` to its success."""

    def __init__(self, attempts: "list[Attempt]") -> None:
        self._attempts = attempts
        self.begun = _Moment.now()
        self.failed: tuple[_Moment, str] | None = None

    def fail(self, reason: str) -> bool:
        """Note that it failed; returns whether that is news: no batch was failing before.

        ``reason`` holds no value, address or secret.
        """
        is_news = not _failing(self._attempts)
        self.failed = (self.failed[0] if self.failed else _Moment.now(), reason)
        return is_news

    def succeed(self) -> float | None:
        """Note that the batch is stored.

        Returns for how many seconds it could not be, if so, and if no other is still failing.
        """
        self._attempts.remove(self)
        if self.failed is None or _failing(self._attempts):
            return None
        return self.failed[0].seconds_ago


def _failing(attempts: Sequence[Attempt]) -> list[tuple[_Moment, str]]:
    return [attempt.failed for attempt in attempts if attempt.failed]
