"""Tracks how far each partition has been read, delivered, processed and committed.

The client has a position too, but advances it before it returns the messages, and past batches that
it failed to decode. As in Kafka, a position is the offset of the next message.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from kafka.structs import TopicPartition
from msgspec import Struct


class AckToken(Struct, frozen=True):
    """Identifies a delivered batch: its assignment, its turn, and the positions it reaches."""

    epoch: int
    turn: int
    ends: Mapping[TopicPartition, int]


class _Partition(Struct):
    first: int | None = None
    read: int | None = None
    delivered: int | None = None
    processed: int | None = None
    committed: int | None = None
    buffered: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether all messages that were read are processed."""
        return self.buffered == 0 and self.delivered == self.processed

    def committable(self) -> int | None:
        """The position to commit, past control records that directly follow."""
        return self.read if self.is_idle else self.processed


class OffsetTracker:
    """Tracks the offsets of one consumer. Every (re)assignment starts a new epoch."""

    def __init__(self) -> None:
        self.epoch = 0
        self._turn = 0
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._unprocessed: deque[AckToken] = deque()

    @property
    def unprocessed(self) -> int:
        """How many batches are delivered and not yet processed."""
        return len(self._unprocessed)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Start over with these partitions; earlier ack tokens become stale."""
        self.epoch += 1
        self._partitions = {partition: _Partition() for partition in partitions}
        self._unprocessed.clear()

    def invalidate(self) -> None:
        """Note that the partitions were lost: earlier ack tokens become stale."""
        self.epoch += 1
        self._unprocessed.clear()

    def read(self, partition: TopicPartition, messages: int, first: int, position: int) -> None:
        """Note that ``messages`` messages were read, from ``first`` up to ``position``."""
        state = self._partitions[partition]
        if state.first is None:
            state.first = first
        if state.is_idle:  # control records in front of these messages count as processed
            state.delivered = state.processed = state.read
        state.read = position
        state.buffered += messages

    def deliver(
        self, counts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> AckToken:
        """Note that a batch was delivered: how many messages of each partition, up to which end."""
        for partition, end in ends.items():
            state = self._partitions[partition]
            state.delivered = end
            state.buffered -= counts[partition]
        self._turn += 1
        token = AckToken(self.epoch, self._turn, ends)
        self._unprocessed.append(token)
        return token

    def is_current(self, token: AckToken) -> bool:
        """Whether no rebalance has happened since this batch was delivered."""
        return token.epoch == self.epoch

    def mark_processed(self, token: AckToken) -> None:
        """Note that this batch and all delivered before it are processed."""
        if not self.is_current(token):
            return
        while self._unprocessed and self._unprocessed[0].turn <= token.turn:
            for partition, end in self._unprocessed.popleft().ends.items():
                self._partitions[partition].processed = end

    def to_commit(self) -> dict[TopicPartition, int]:
        """Positions that are processed and not known to be committed."""
        found = {}
        for partition, state in self._partitions.items():
            position = state.committable()
            if position is not None and position != state.committed:
                found[partition] = position
        return found

    def committed(self, epoch: int, positions: Mapping[TopicPartition, int]) -> None:
        """Note a confirmed commit, if it is of the current epoch."""
        if epoch != self.epoch:
            return
        for partition, position in positions.items():
            self._partitions[partition].committed = position

    def unprocessed_from(self) -> dict[TopicPartition, int | None]:
        """The first position that is not processed; None if nothing was read in this epoch.

        Other threads may call it.
        """
        found = {}
        for partition, state in self._partitions.items():
            position = state.committable()
            found[partition] = state.first if position is None else position
        return found

    def to_read(self) -> dict[TopicPartition, int | None]:
        """The position at which reading resumes; None if nothing was read in this epoch."""
        return {partition: state.read for partition, state in self._partitions.items()}
