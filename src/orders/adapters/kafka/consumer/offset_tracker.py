"""How far each partition has been read, delivered, processed and committed.

The client keeps a position too, but moves it before anybody has the messages, and past what it
failed to decode. Positions here are offsets of the next message, as Kafka counts them.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from kafka.structs import TopicPartition
from msgspec import Struct


class AckToken(Struct, frozen=True):
    """Says which positions a batch reaches, in which assignment it was delivered, and its turn."""

    epoch: int
    turn: int
    ends: Mapping[TopicPartition, int]


class _Partition(Struct):
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
        """As far as it may be committed; past records that are no messages, if they come next."""
        return self.read if self.is_idle else self.processed


class OffsetTracker:
    """Tracks the offsets of one consumer. Every (re)assignment begins a new epoch."""

    def __init__(self) -> None:
        self.epoch = 0
        self._turn = 0
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._unprocessed: deque[AckToken] = deque()

    @property
    def unprocessed(self) -> int:
        """Batches that were delivered and are not processed."""
        return len(self._unprocessed)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Begin anew with these partitions; ack tokens from before are stale."""
        self.epoch += 1
        self._partitions = {partition: _Partition() for partition in partitions}
        self._unprocessed.clear()

    def invalidate(self) -> None:
        """Note that the partitions were lost: no delivered batch may be committed any more."""
        self.epoch += 1
        self._unprocessed.clear()

    def read(self, partition: TopicPartition, messages: int, position: int) -> None:
        """Note that ``messages`` were read, and that the next record to read is at ``position``."""
        state = self._partitions[partition]
        if state.is_idle:  # records that were no messages stay passed, whatever comes now
            state.delivered = state.processed = state.read
        state.read = position
        state.buffered += messages

    def deliver(
        self, counts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> AckToken:
        """Note that a batch was delivered: so many messages of each partition, up to its end."""
        for partition, end in ends.items():
            state = self._partitions[partition]
            state.delivered = end
            state.buffered -= counts[partition]
        self._turn += 1
        token = AckToken(self.epoch, self._turn, ends)
        self._unprocessed.append(token)
        return token

    def is_current(self, token: AckToken) -> bool:
        """Whether the partitions of this batch have been ours ever since it was delivered."""
        return token.epoch == self.epoch

    def mark_processed(self, token: AckToken) -> None:
        """Note that this batch, and all delivered before it, are processed."""
        if not self.is_current(token):
            return
        while self._unprocessed and self._unprocessed[0].turn <= token.turn:
            for partition, end in self._unprocessed.popleft().ends.items():
                self._partitions[partition].processed = end

    def to_commit(self) -> dict[TopicPartition, int]:
        """What is processed and not known to be committed."""
        found = {}
        for partition, state in self._partitions.items():
            position = state.committable()
            if position is not None and position != state.committed:
                found[partition] = position
        return found

    def committed(self, epoch: int, positions: Mapping[TopicPartition, int]) -> None:
        """Note a commit that was confirmed, if it is of this epoch."""
        if epoch != self.epoch:
            return
        for partition, position in positions.items():
            self._partitions[partition].committed = position

    def to_read(self) -> dict[TopicPartition, int | None]:
        """Where reading resumes; None where nothing was read in this epoch."""
        return {partition: state.read for partition, state in self._partitions.items()}
