"""Commits of offsets that never block: sent at once, confirmed by a callback during later polls."""

import time
from collections.abc import Callable

from kafka import KafkaConsumer
from kafka.errors import CommitFailedError
from kafka.structs import OffsetAndMetadata, TopicPartition

from orders.adapters.kafka.consumer.offset_tracker import AckToken, OffsetTracker
from orders.domain.errors import Unavailable

Done = Callable[[Exception | None], None]

_RETRY_INTERVAL = 1.0
_ROUND = 0.005


class Commits:
    """Commits what ``tracker`` says is processed. For the thread that owns the consumer."""

    def __init__(self, consumer: KafkaConsumer, tracker: OffsetTracker) -> None:
        self._consumer = consumer
        self._tracker = tracker
        self._next_retry = 0.0
        self.in_flight = 0
        self.unconfirmed_since: float | None = None
        """Since when (in Unix time) a commit has been on its way or refused; None: none is."""

    def commit(self, token: AckToken, done: Done) -> None:
        """Commit a batch and all before it; ``done`` gets None, or why it was not confirmed.

        What belongs to partitions that were taken away since is left out.
        """
        self._tracker.mark_processed(token)
        left = self._tracker.to_commit()
        if left and self._tracker.is_current(token):
            self._send(left, done)
        else:
            done(None)

    def commit_what_is_left(self) -> None:
        """Commit again after a failure, and past control records; there may be no later batch."""
        if self.in_flight or time.monotonic() < self._next_retry:
            return
        if left := self._tracker.to_commit():
            self._send(left, lambda _error: None)

    def reset(self) -> None:
        """Note that the partitions have changed: what was not confirmed is others' business."""
        self.unconfirmed_since = None

    def pump(self) -> None:
        """Let the client send and receive; committing nothing is its one call for just that."""
        self._consumer.commit_async({}, callback=lambda _offsets, _error: None)
        time.sleep(_ROUND)

    def _send(self, left: dict[TopicPartition, int], done: Done) -> None:
        epoch = self._tracker.epoch
        self.in_flight += 1
        self._next_retry = time.monotonic() + _RETRY_INTERVAL
        if self.unconfirmed_since is None:
            self.unconfirmed_since = time.time()

        def finished(_offsets: object, error: object) -> None:
            self.in_flight -= 1
            if not isinstance(error, Exception):
                self._tracker.committed(epoch, left)
                self.unconfirmed_since = None
                done(None)
                return
            if isinstance(error, CommitFailedError):  # the group has moved on without this member
                self._tracker.invalidate()
            done(Unavailable(f"the commit was refused ({type(error).__name__})"))

        offsets = {partition: OffsetAndMetadata(end, "") for partition, end in left.items()}
        self._consumer.commit_async(offsets, callback=finished)
