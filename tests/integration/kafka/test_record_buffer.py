"""Which messages share a batch, and how many are read in a poll."""

import random
from itertools import count

import pytest
from kafka.structs import TopicPartition

from orders.adapters.kafka.consumer.offset_tracker import OffsetTracker
from orders.adapters.kafka.consumer.record_buffer import RecordBuffer
from orders.adapters.kafka.wire.record_batches import Record
from orders.domain.intake.messages import BATCH_BYTES, BATCH_MESSAGES

PARTITIONS = [TopicPartition("orders", number) for number in range(3)]
LARGE = b" " * (BATCH_BYTES // 2 + 1)


class Rig:
    def __init__(self) -> None:
        self.tracker = OffsetTracker()
        self.tracker.assign(PARTITIONS)
        self.buffer = RecordBuffer(self.tracker)
        self._offsets = [count() for _ in PARTITIONS]

    def add(self, number: int, *values: bytes) -> None:
        records = [Record(next(self._offsets[number]), 0, None, v, ()) for v in values]
        self.buffer.add({PARTITIONS[number]: records})

    def cut(self) -> list[tuple[int, int]]:
        """Partition and offset of the messages of the next batch."""
        batch = self.buffer.cut()
        return [(m.origin.partition, m.origin.offset) for m in batch.messages] if batch else []


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_batch_has_what_fits_of_each_partition(rig: Rig) -> None:
    rig.add(0, LARGE, LARGE, LARGE)
    rig.add(1, LARGE, LARGE)
    rig.add(2, *[b"order"] * 3)
    assert rig.cut() == [(0, 0), (2, 0), (2, 1), (2, 2)]
    rig.add(2, b"order")
    assert rig.cut() == [(1, 0), (2, 3)]
    assert rig.cut() == [(0, 1)]
    assert rig.cut() == [(1, 1)]
    assert rig.cut() == [(0, 2)]
    assert rig.cut() == []
    assert not rig.buffer.has_messages
    assert not rig.buffer.is_full


def test_many_messages_of_one_partition_leave_room_for_others(rig: Rig) -> None:
    rig.add(0, *[b""] * (2 * BATCH_MESSAGES))
    rig.add(1, b"", b"")
    assert rig.buffer.is_full
    first = rig.cut()
    assert len(first) == BATCH_MESSAGES
    assert [each for each in first if each[0] == 1] == [(1, 0), (1, 1)]
    assert rig.cut() == [(0, n) for n in range(BATCH_MESSAGES - 2, 2 * BATCH_MESSAGES - 2)]
    assert not rig.buffer.is_full


def test_each_message_is_delivered_once_in_the_order_of_its_partition(rig: Rig) -> None:
    chance = random.Random(1)
    for _ in range(200):
        size = chance.choice([1, 1_000, BATCH_BYTES // 3, 2 * BATCH_BYTES])
        rig.add(chance.randrange(3), *[b" " * size] * chance.randrange(1, 4))
    delivered = [each for batch in iter(rig.cut, []) for each in batch]
    for number in range(3):
        offsets = [offset for partition, offset in delivered if partition == number]
        assert offsets == list(range(len(offsets)))
    assert all(offset is not None for offset in rig.tracker.unprocessed_from().values())
    assert not rig.buffer.has_messages
