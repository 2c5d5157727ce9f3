"""How far each partition has been read, given out, dealt with and committed.

The client keeps a position too, but moves it before anybody has the messages, and past what it
failed to decode. Positions here are offsets of the next message, as Kafka counts them.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from kafka.structs import TopicPartition
from msgspec import Struct


class Receipt(Struct, frozen=True):
    """Says which positions a batch reaches, in which assignment it was given out, and its turn."""

    epoch: int
    turn: int
    ends: Mapping[TopicPartition, int]


class _Partition(Struct):
    read: int | None = None
    given: int | None = None
    done: int | None = None
    committed: int | None = None
    buffered: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether all messages that were read are dealt with."""
        return self.buffered == 0 and self.given == self.done

    def committable(self) -> int | None:
        """As far as it may be committed; past records that are no messages, if they come next."""
        return self.read if self.is_idle else self.done


class Positions:
    """The book-keeping of one consumer. Every (re)assignment begins a new epoch."""

    def __init__(self) -> None:
        self.epoch = 0
        self._turn = 0
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._in_hand: deque[Receipt] = deque()

    @property
    def in_hand(self) -> int:
        """Batches that were given out and are not dealt with."""
        return len(self._in_hand)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Begin anew with these partitions; receipts from before are worth nothing now."""
        self.epoch += 1
        self._partitions = {partition: _Partition() for partition in partitions}
        self._in_hand.clear()

    def forfeit(self) -> None:
        """Note that the partitions were lost: no batch in hand may be committed any more."""
        self.epoch += 1
        self._in_hand.clear()

    def read(self, partition: TopicPartition, messages: int, position: int) -> None:
        """Note that ``messages`` were read, and that the next record to read is at ``position``."""
        state = self._partitions[partition]
        if state.is_idle:  # records that were no messages stay passed, whatever comes now
            state.given = state.done = state.read
        state.read = position
        state.buffered += messages

    def give(
        self, counts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> Receipt:
        """Note that a batch was given out: so many messages of each partition, up to its end."""
        for partition, end in ends.items():
            state = self._partitions[partition]
            state.given = end
            state.buffered -= counts[partition]
        self._turn += 1
        receipt = Receipt(self.epoch, self._turn, ends)
        self._in_hand.append(receipt)
        return receipt

    def is_current(self, receipt: Receipt) -> bool:
        """Whether the partitions of this batch have been ours ever since it was given out."""
        return receipt.epoch == self.epoch

    def finish(self, receipt: Receipt) -> None:
        """Note that this batch, and all given out before it, are dealt with."""
        if not self.is_current(receipt):
            return
        while self._in_hand and self._in_hand[0].turn <= receipt.turn:
            for partition, end in self._in_hand.popleft().ends.items():
                self._partitions[partition].done = end

    def to_commit(self) -> dict[TopicPartition, int]:
        """What is dealt with and not known to be committed."""
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
        """Where reading goes on; None where nothing was read in this epoch."""
        return {partition: state.read for partition, state in self._partitions.items()}
