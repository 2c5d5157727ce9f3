"""Buffers about one batch of records that were read and not yet delivered."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence

from kafka.structs import TopicPartition

from orders.adapters.kafka.consumer.offset_tracker import OffsetTracker
from orders.adapters.kafka.wire.record_batches import Record
from orders.domain.intake.messages import BATCH_BYTES, BATCH_MESSAGES, Batch, Message, Origin


class RecordBuffer:
    """The messages of each partition in their order, cut into batches on demand.

    A batch has messages of all partitions: what is slow to store holds up its own one.
    """

    def __init__(self, tracker: OffsetTracker) -> None:
        self._tracker = tracker
        self._queues: dict[TopicPartition, deque[Message]] = {}
        """Without empty ones; the partition that was served longest ago is the first."""
        self._number = self._bytes = 0

    @property
    def has_messages(self) -> bool:
        """Whether anything is buffered."""
        return bool(self._queues)

    @property
    def is_full(self) -> bool:
        """Whether a whole batch is buffered, so that fetching can pause."""
        return self._number >= BATCH_MESSAGES or self._bytes >= BATCH_BYTES

    def add(self, fetched: Mapping[TopicPartition, Sequence[Record]]) -> None:
        """Add the records of a poll. Control records only advance the position."""
        for partition, records in fetched.items():
            messages = [_message(partition, record) for record in records if record.is_message]
            if messages:
                self._queues.setdefault(partition, deque()).extend(messages)
            self._number += len(messages)
            self._bytes += sum([message.size for message in messages])
            first, position = records[0].offset, records[-1].offset + 1
            self._tracker.read(partition, len(messages), first, position)

    def cut(self) -> Batch | None:
        """Remove and return the next batch; None if there are no messages."""
        if not self._queues:
            return None
        messages: list[Message] = []
        counts: Counter[TopicPartition] = Counter()
        ends: dict[TopicPartition, int] = {}
        size = 0
        turns = deque(self._queues.items())
        while turns and len(messages) < BATCH_MESSAGES:
            partition, waiting = turns.popleft()
            message = waiting[0]
            grown = size + message.size
            if messages and grown > BATCH_BYTES:
                continue  # the first, or one of the first, of the next batch
            messages.append(waiting.popleft())
            size = grown
            counts[partition] += 1
            ends[partition] = message.origin.offset + 1
            del self._queues[partition]
            if waiting:
                self._queues[partition] = waiting
                turns.append((partition, waiting))
        self._number -= len(messages)
        self._bytes -= size
        return Batch(tuple(messages), self._tracker.deliver(counts, ends))

    def clear(self) -> None:
        """Drop all messages; the next owner of the partitions reads them again."""
        self._queues.clear()
        self._number = self._bytes = 0


def _message(partition: TopicPartition, record: Record) -> Message:
    origin = Origin(partition.topic, partition.partition, record.offset)
    _offset, timestamp, key, value, headers, _is_message, unread = record
    return Message(origin, value, key, timestamp, headers, unread)
