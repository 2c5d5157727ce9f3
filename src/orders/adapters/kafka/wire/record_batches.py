"""Reads the records of a fetch.

Replaces the client's own reader, which does not verify checksums, returns control records as
messages, fails on header names that are not UTF-8, and decompresses without a bound, or with one
that real batches exceed.

A fetch of some kilobytes can unpack to gigabytes, and a megabyte of unpacked records can take a
hundred as objects. So the fetches of a poll are read up to a bound, and the next fetch begins where
that ended, also in the midst of a batch.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from kafka.record.default_records import DefaultRecordBatch
from kafka.record.legacy_records import LegacyRecordBatch
from kafka.record.memory_records import MemoryRecords
from kafka.structs import TopicPartition

from orders.adapters.kafka.client.internals import packed_records, record_count, skip_rest
from orders.adapters.kafka.wire.codecs import UnpackError, unpack
from orders.domain.errors import OrdersError
from orders.domain.intake.messages import Headers

READ_BYTES = 16 * 1024 * 1024
"""Unpacked bytes after which no further batch is read in a poll."""
READ_OBJECTS = 50_000
"""Records and headers after which no further record is read in a poll."""
MAX_HEADERS = 10_000
"""A record with more headers is read as one without any."""

_CODEC_MASK = 0x07
_LOG_APPEND_TIME = 0x08
_CONTROL = 0x20

_MORE = 0x80
_LAST_SHIFT = 63


class UnreadableBatch(OrdersError):
    """A batch in the topic cannot be decoded, so nothing after it can be read safely.

    If known, it starts at or after ``offset`` and ends before ``following``; only an operator can
    decide to skip it.
    """

    code = "unreadable-batch"

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int | None,
        reason: str,
        following: int | None = None,
    ) -> None:
        where = "an unknown offset" if offset is None else str(offset)
        there = "one after it" if following is None else str(following)
        super().__init__(
            f"{topic} partition {partition} cannot be read at {where}: {reason}. If that stays, "
            f"repair it on the brokers, or skip it by setting the group's offset to {there}"
        )
        self.partition = TopicPartition(topic, partition)


class Record(NamedTuple):
    """One record; not ``is_message``: only an offset to advance past.

    Those are the brokers' control records, and the ends of batches whose last records compaction
    has removed.
    """

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    is_message: bool = True


class Allowance:
    """What may still be read in a poll, of whatever partitions."""

    def __init__(self) -> None:
        self.bytes = READ_BYTES
        self.objects = READ_OBJECTS

    def __bool__(self) -> bool:
        return self.bytes > 0 and self.objects > 0


def reader_of_poll() -> Callable[[TopicPartition, MemoryRecords, int], Iterator[Record]]:
    """Return ``read_records`` with a new allowance."""
    return partial(read_records, left=Allowance())


def read_records(
    partition: TopicPartition, fetched: MemoryRecords, start: int, *, left: Allowance
) -> Iterator[Record]:
    """Read the records of a fetch of one partition, oldest first, from offset ``start`` on.

    They end where nothing is ``left``, and in front of a batch other than the first that cannot be
    decoded. The next fetch starts there.

    Raises:
        UnreadableBatch: the first batch cannot be decoded.
    """
    is_first = True
    while left:
        offset = following = None
        try:
            batch = fetched.next_batch()
            if batch is None:
                return
            if isinstance(batch, DefaultRecordBatch):
                offset = batch.base_offset
                following = offset + max(0, batch.last_offset_delta) + 1
            records = _records(batch, start, left)
        except Exception as error:  # any byte may be wrong, and each decoder fails in its own way
            skip_rest(fetched)
            if not is_first:
                return
            reason = str(error) if isinstance(error, UnpackError) else type(error).__name__
            place = (partition.topic, partition.partition, offset)
            raise UnreadableBatch(*place, reason, following) from error
        yield from records
        is_first = False
    skip_rest(fetched)


def _records(
    batch: DefaultRecordBatch | LegacyRecordBatch, start: int, left: Allowance
) -> list[Record]:
    if isinstance(batch, LegacyRecordBatch):
        raise UnpackError("its format is older than version 2")
    if not batch.validate_crc():
        raise UnpackError("its checksum is wrong")
    unpacked = unpack(batch.attributes & _CODEC_MASK, packed_records(batch))
    records = list(_read(batch, unpacked, start, left))
    left.bytes -= len(unpacked)
    last = batch.base_offset + batch.last_offset_delta
    if left.objects > 0 and (not records or records[-1].offset < last):
        records.append(Record(last, batch.max_timestamp, None, None, (), is_message=False))
    return records


def _read(
    batch: DefaultRecordBatch, buffer: bytes, start: int, left: Allowance
) -> Iterator[Record]:
    """Read the records of a decompressed batch; IndexError or ValueError if it is corrupt.

    Those before the offset ``start`` are left out, and those beyond what is ``left``.
    """
    attributes, objects = batch.attributes, left.objects
    first = start - batch.base_offset
    base_offset, base_timestamp = batch.base_offset, batch.first_timestamp
    fixed_timestamp = batch.max_timestamp if attributes & _LOG_APPEND_TIME else None
    is_message = not attributes & _CONTROL
    at = 0
    for _ in range(record_count(batch)):
        length, at = _varint(buffer, at)
        end = at + length
        timestamp_delta, at = _varint(buffer, at + 1)  # after one byte of attributes, unused
        offset_delta, at = _varint(buffer, at)
        if offset_delta < first and end >= at:
            at = end
            continue
        key, at = _bytes(buffer, at)
        value, at = _bytes(buffer, at)
        header_count, at = _varint(buffer, at)
        headers = []
        if header_count > MAX_HEADERS and end >= at:
            at, header_count = end, 0
        for _ in range(header_count):
            name, at = _bytes(buffer, at)
            content, at = _bytes(buffer, at)
            headers.append(((name or b"").decode(errors="replace"), content or b""))
        if at != end:
            raise ValueError("a record is longer or shorter than it says")
        yield Record(
            base_offset + offset_delta,
            base_timestamp + timestamp_delta if fixed_timestamp is None else fixed_timestamp,
            key,
            value,
            tuple(headers),
            is_message,
        )
        objects -= 1 + header_count
        if objects <= 0:
            left.objects = 0
            return
    left.objects = objects
    if at != len(buffer):
        raise ValueError("bytes are left over after the last record")


def _bytes(buffer: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(buffer, at)
    if length < 0:
        return None, at
    end = at + length
    if end > len(buffer):
        raise IndexError(end)
    return buffer[at:end], end


def _varint(buffer: bytes, at: int) -> tuple[int, int]:
    """Read a zigzag varint; also returns where the next field begins."""
    byte = buffer[at]
    at += 1
    if byte < _MORE:
        return (byte >> 1) ^ -(byte & 1), at
    raw = byte & 0x7F
    shift = 7
    while True:
        byte = buffer[at]
        at += 1
        raw |= (byte & 0x7F) << shift
        if byte < _MORE:
            return (raw >> 1) ^ -(raw & 1), at
        shift += 7
        if shift > _LAST_SHIFT:
            raise ValueError("an integer is longer than 64 bits")
