"""The health of storing, as observed by the pipeline."""

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


class StoreHealth(Dependency):
    """Whether batches can be stored; checks of the servers do not show that.

    A database may answer and still not store: because of a full disk, a lock or a read-only mode.
    Or the brokers may not acknowledge dead letters. Several batches may be stored at once.
    """

    def __init__(self) -> None:
        self._batches: list[BatchHealth] = []  # the oldest first

    def begin(self) -> "BatchHealth":
        """Start to observe a batch."""
        batch = BatchHealth(self._batches)
        self._batches.append(batch)
        return batch

    @property
    def is_stuck(self) -> bool:
        """Whether a batch has been in storing for ``STUCK_AFTER``."""
        return any(batch.begun.seconds_ago >= STUCK_AFTER for batch in self._batches)

    async def check(self) -> None:
        """See ``Dependency.check``: no batch's latest attempt failed, nor takes too long."""
        failing = _failing(self._batches)
        if failing:
            first = min(failing, key=lambda failed: failed[0].at)
            raise Unavailable(failing[-1][1], since=first[0].at)
        if self.is_stuck:
            reason = f"one batch has not been stored for more than {STUCK_AFTER:g} s"
            raise Unavailable(reason, since=self._batches[0].begun.at)


class BatchHealth:
    """The attempts to store one batch, from ``StoreHealth.begin`` to the one that succeeds."""

    def __init__(self, batches: "list[BatchHealth]") -> None:
        self._batches = batches
        self.begun = _Moment.now()
        self.failed: tuple[_Moment, str] | None = None

    def fail(self, reason: str) -> bool:
        """Note that an attempt failed; returns whether no batch was failing before.

        ``reason`` holds no value, address or secret.
        """
        is_first = not _failing(self._batches)
        self.failed = (self.failed[0] if self.failed else _Moment.now(), reason)
        return is_first

    def succeed(self) -> float | None:
        """Note that the batch is stored.

        Returns how many seconds it has failed, if it has and no other batch is failing.
        """
        self._batches.remove(self)
        if self.failed is None or _failing(self._batches):
            return None
        return self.failed[0].seconds_ago


def _failing(batches: Sequence[BatchHealth]) -> list[tuple[_Moment, str]]:
    return [batch.failed for batch in batches if batch.failed]
