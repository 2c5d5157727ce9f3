"""Commits offsets without blocking: later polls call back when a commit is confirmed."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from kafka.errors import CommitFailedError
from kafka.structs import OffsetAndMetadata, TopicPartition

from orders.adapters.kafka.client.gaps import Gap, gap_in
from orders.adapters.kafka.client.internals import ExtendedConsumer
from orders.adapters.kafka.consumer.offset_tracker import AckToken, OffsetTracker
from orders.domain.errors import Unavailable

Done = Callable[[Exception | None], None]

_RETRY_INTERVAL = 1.0
_PUMP_INTERVAL = 0.005


class Commits:
    """Commits the offsets that ``tracker`` has as processed; for the consumer's own thread."""

    def __init__(self, consumer: ExtendedConsumer, tracker: OffsetTracker) -> None:
        self._consumer = consumer
        self._tracker = tracker
        self._next_retry = 0.0
        self._gaps: dict[TopicPartition, Gap] = {}
        self.in_flight = 0
        self.unconfirmed_since: float | None = None
        """Unix time since which commits are unconfirmed; None if there are none."""

    def commit(self, token: AckToken, done: Done) -> None:
        """Commit a batch and all before it; ``done`` gets None, or why it was not confirmed.

        If the partitions of the batch were revoked in the meantime, nothing is committed.
        """
        self._tracker.mark_processed(token)
        offsets = self._tracker.to_commit()
        if offsets and self._tracker.is_current(token):
            self._send(offsets, done)
        else:
            done(None)

    def commit_remaining(self) -> None:
        """Retry failed commits, and commit past control records; there may be no later batch."""
        if self.in_flight or time.monotonic() < self._next_retry:
            return
        if offsets := self._tracker.to_commit():
            self._send(offsets, lambda _error: None)

    def note_gap(self, partition: TopicPartition, gap: Gap) -> None:
        """Have a gap noted beside the next offset of its partition."""
        self._gaps[partition] = gap.joined(self._gaps.get(partition))

    def reset(self) -> None:
        """Forget unconfirmed commits, after a rebalance."""
        self.unconfirmed_since = None
        self._gaps.clear()

    def pump(self) -> None:
        """Let the client send and receive; an empty commit is its only call that does just that."""
        self._consumer.commit_async({}, callback=lambda _offsets, _error: None)
        time.sleep(_PUMP_INTERVAL)

    def _send(self, positions: dict[TopicPartition, int], done: Done) -> None:
        epoch = self._tracker.epoch
        self.in_flight += 1
        self._next_retry = time.monotonic() + _RETRY_INTERVAL
        if self.unconfirmed_since is None:
            self.unconfirmed_since = time.time()

        def finished(_offsets: object, error: object) -> None:
            self.in_flight -= 1
            if not isinstance(error, Exception):
                self._tracker.committed(epoch, positions)
                self.unconfirmed_since = None
                done(None)
                return
            if isinstance(error, CommitFailedError):  # the group has moved on without this member
                self._tracker.invalidate()
            done(Unavailable(f"the commit was refused ({type(error).__name__})"))

        offsets = {
            partition: OffsetAndMetadata(end, self._metadata(partition))
            for partition, end in positions.items()
        }
        self._consumer.commit_async(offsets, callback=finished)

    def _metadata(self, partition: TopicPartition) -> str:
        """The gap of the partition, if any: ours, and what was noted beside the offset before."""
        noted = gap_in(self._consumer.committed_metadata(partition), datetime.now(UTC))
        ours = self._gaps.get(partition)
        gap = ours.joined(noted) if ours else noted
        return gap.as_metadata if gap else ""
