"""The books of the consumer: what may be committed, whatever happens in which order."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from kafka.structs import TopicPartition

from orders.adapters.kafka.consumer.offset_tracker import AckToken, OffsetTracker
from orders.adapters.kafka.consumer.record_buffer import RecordBuffer
from orders.adapters.kafka.wire.record_batches import Record
from orders.domain.intake.messages import BATCH_BYTES, BATCH_MESSAGES, Batch

PARTITIONS = [TopicPartition("orders", number) for number in range(3)]
partitions = st.sampled_from(PARTITIONS)


class Books(RuleBasedStateMachine):
    """Reads, gives out, finishes and commits at random, next to a plain list of what happened."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.buffer = RecordBuffer(self.tracker)
        self.next = dict.fromkeys(PARTITIONS, 0)
        self.stale: list[AckToken] = []
        self.take_over()

    @rule()
    def take_over(self) -> None:
        """All partitions are reassigned; delivered and buffered messages no longer count."""
        self.stale += [token for token, _ in getattr(self, "in_hand", [])]
        self.tracker.assign(PARTITIONS)
        self.buffer.clear()
        self.in_hand: list[tuple[AckToken, Batch]] = []
        self.undone: dict[TopicPartition, list[int]] = {p: [] for p in PARTITIONS}
        self.buffered = 0
        self.offered = dict.fromkeys(PARTITIONS, 0)

    @rule(partition=partitions, kinds=st.lists(st.booleans(), min_size=1, max_size=5))
    def read(self, partition: TopicPartition, kinds: list[bool]) -> None:
        records = []
        for is_message in kinds:
            offset = self.next[partition]
            self.next[partition] += 1
            records.append(Record(offset, 0, None, b"v", (), is_message))
            if is_message:
                self.undone[partition].append(offset)
                self.buffered += 1
        self.buffer.add({partition: records})

    @rule()
    def give(self) -> None:
        batch = self.buffer.cut()
        assert (batch is None) == (self.buffered == 0)
        if batch is not None:
            assert isinstance(batch.ack_token, AckToken)
            self.buffered -= len(batch.messages)
            self.in_hand.append((batch.ack_token, batch))

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        chosen = data.draw(st.integers(0, len(self.in_hand) - 1))
        self.tracker.mark_processed(self.in_hand[chosen][0])
        for _, batch in self.in_hand[: chosen + 1]:
            for message in batch.messages:
                self.undone[PARTITIONS[message.origin.partition]].remove(message.origin.offset)
        del self.in_hand[: chosen + 1]

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def finish_revoked_batch(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(self.stale))
        before = self.tracker.to_commit()
        assert not self.tracker.is_current(token)
        self.tracker.mark_processed(token)
        assert self.tracker.to_commit() == before

    @rule(is_confirmed=st.booleans())
    def commit(self, is_confirmed: bool) -> None:
        if is_confirmed:
            self.tracker.committed(self.tracker.epoch, self.tracker.to_commit())
            assert self.tracker.to_commit() == {}

    @invariant()
    def nothing_is_committed_that_is_not_dealt_with(self) -> None:
        for partition, position in self.tracker.to_commit().items():
            assert all(offset >= position for offset in self.undone[partition])

    @invariant()
    def what_may_be_committed_never_goes_back(self) -> None:
        for partition, position in self.tracker.to_commit().items():
            assert position >= self.offered[partition]
            self.offered[partition] = position

    @invariant()
    def counts_what_is_in_hand(self) -> None:
        assert self.tracker.unprocessed == len(self.in_hand)

    @invariant()
    def all_that_is_dealt_with_may_be_committed(self) -> None:
        left = self.tracker.to_commit()
        for partition, read in self.tracker.to_read().items():
            if read is not None and not self.undone[partition]:
                assert left.get(partition, read) == read

    @invariant()
    def what_waits_is_counted_from_the_first_that_is_not_dealt_with(self) -> None:
        for partition, position in self.tracker.unprocessed_from().items():
            undone = self.undone[partition]
            if position is None:
                assert not undone
            elif undone:  # control records in front of it may be counted too
                assert position <= undone[0]
                assert self.next[partition] - position >= len(undone)
            else:
                assert position == self.next[partition]


TestBooks = Books.TestCase
TestBooks.settings = settings(stateful_step_count=40)


def records(amount: int, size: int, part: str = "value") -> dict[TopicPartition, list[Record]]:
    long = b"x" * size
    key, value, headers = {
        "key": (long, None, ()),
        "value": (None, long, ()),
        "headers": (None, None, (("x", long[65:]),)),
        "empty headers": (None, None, (("", b""),) * (size // 64)),
    }[part]
    return {PARTITIONS[0]: [Record(n, 0, key, value, headers) for n in range(amount)]}


@pytest.mark.parametrize("part", ["key", "value", "headers", "empty headers"])
def test_a_batch_is_bounded_in_messages_and_bytes(part: str) -> None:
    tracker = OffsetTracker()
    tracker.assign(PARTITIONS)
    buffer = RecordBuffer(tracker)
    buffer.add(records(BATCH_MESSAGES + 1, 1))
    assert buffer.is_full
    first, second = buffer.cut(), buffer.cut()
    assert first is not None
    assert second is not None
    assert (len(first.messages), len(second.messages)) == (BATCH_MESSAGES, 1)
    assert not buffer.is_full
    buffer.add(records(3, BATCH_BYTES // 2, part))
    assert buffer.is_full
    sizes = []
    while batch := buffer.cut():
        sizes.append(len(batch.messages))
    assert sizes == [2, 1]
    buffer.add(records(1, 9_000_000, part))
    batch = buffer.cut()
    assert batch is not None
    assert len(batch.messages) == 1
