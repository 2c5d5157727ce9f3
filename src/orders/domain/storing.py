"""Whether batches can be stored, as those who store them find: no server need be asked."""

import time
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
    or the brokers may not acknowledge dead letters.
    """

    def __init__(self) -> None:
        self._begun: _Moment | None = None
        self._failed: _Moment | None = None
        self._reason = ""

    def begin(self) -> None:
        """Note that a batch is about to be stored."""
        self._begun = _Moment.now()

    def fail(self, reason: str) -> bool:
        """Note that it failed; returns whether that is news: the attempt before did not.

        ``reason`` holds no value, address or secret.
        """
        is_news = self._failed is None
        self._failed = self._failed or _Moment.now()
        self._reason = reason
        return is_news

    def succeed(self) -> float | None:
        """Note that the batch is stored; returns for how many seconds it could not be, if so."""
        failed, self._failed, self._begun = self._failed, None, None
        return failed.seconds_ago if failed else None

    @property
    def is_stuck(self) -> bool:
        """Whether one batch has been at it for long, be it by failures or without an answer."""
        return self._begun is not None and self._begun.seconds_ago >= STUCK_AFTER

    async def check(self) -> None:
        """See ``Dependency.check``: the latest attempt did not fail, nor takes too long."""
        if self._failed:
            raise Unavailable(self._reason, since=self._failed.at)
        if self._begun and self.is_stuck:
            reason = f"one batch has not been stored for more than {STUCK_AFTER:g} s"
            raise Unavailable(reason, since=self._begun.at)
