"""Reads the records of a fetch.

Replaces the client's own reader, which does not verify checksums, returns control records as
messages, fails on header names that are not UTF-8, and decompresses without a bound, or with one
that real batches exceed.

A fetch of some kilobytes can unpack to gigabytes, and a megabyte of unpacked records can take a
hundred as objects. So batches are unpacked piece by piece, and the fetches of a poll are read up to
a bound, which they share; the next fetch begins where that ended, also in the midst of a batch.

Brokers take batches that no client library writes: with records of a wrong length, with offsets
that are not in the batch, with a checksum of lz4 that is wrong. Where the batch's own checksum is
right, its content is as it was sent. Then what cannot be read is returned as ``unread``, and
reading continues after it: nobody who may write to the topic can stop it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from kafka.record.default_records import DefaultRecordBatch
from kafka.record.legacy_records import LegacyRecordBatch
from kafka.record.memory_records import MemoryRecords
from kafka.structs import TopicPartition
from msgspec.structs import replace

from orders.adapters.kafka.client.internals import packed_records, record_count, skip_rest
from orders.adapters.kafka.wire.codecs import UnknownCodec, UnpackError, next_piece, unpack
from orders.domain.errors import OrdersError
from orders.domain.intake.messages import MAX_MESSAGE_BYTES, Headers, Unread

MIB = 1024 * 1024
READ_BYTES = 4 * MIB
"""Unpacked bytes after which nothing more is read in a poll. What was read is stored before the
next poll, nearly all of it, and messages of other partitions wait meanwhile."""
READ_OBJECTS = 50_000
"""Headers, and dead letters that small records may become, after which no further record is read in
a poll."""
RECORD_OBJECTS = 20
"""What a record counts: as many dead letters as some bytes may become (``MAX_REFUSED_SMALL``)."""
MAX_HEADERS = 10_000
"""A record with more headers is read as one without any."""
MAX_BATCH_BYTES = 512 * MIB
"""The most of a batch that is unpacked. Brokers take no request above 100 MiB by default."""
MAX_BATCH_RECORDS = 1_000_000
"""The most records of a batch that are read. An order has some 500 bytes, see above."""

_CODEC_MASK = 0x07
_LOG_APPEND_TIME = 0x08
_CONTROL = 0x20

_MORE = 0x80
_LAST_SHIFT = 63
_HEAD_BYTES = 32
"""More than the attributes, timestamp and offset of a record have."""
_TOO_LARGE = Unread(
    "excessive", f"must not be larger than {MAX_MESSAGE_BYTES // MIB} MiB with key and headers"
)


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
    has removed, or which could not be read. ``unread``: it could not be read itself.
    """

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    is_message: bool = True
    unread: Unread | None = None


class Allowance:
    """What may still be read in a poll, or of one of its fetches."""

    def __init__(self) -> None:
        self.bytes = READ_BYTES
        self.objects = READ_OBJECTS

    def __bool__(self) -> bool:
        return self.bytes > 0 and self.objects > 0

    @contextmanager
    def share(self, fetches: int) -> Iterator["Allowance"]:
        """Return what one of so many fetches may use; what it leaves is for the others."""
        share = Allowance()
        share.bytes = most_bytes = -(-self.bytes // fetches)
        share.objects = most_objects = -(-self.objects // fetches)
        yield share
        self.bytes -= most_bytes - share.bytes
        self.objects -= most_objects - share.objects


def reader_of_poll() -> Callable[[TopicPartition, MemoryRecords, int, int], Iterator[Record]]:
    """Return ``read_records`` with a new allowance, of which each fetch has its share.

    The last argument of what is returned is the number of fetches that are not read yet, with this
    one. So one partition cannot use up what others need.
    """
    left = Allowance()

    def read(
        partition: TopicPartition, fetched: MemoryRecords, start: int, fetches: int
    ) -> Iterator[Record]:
        with left.share(fetches) as share:
            yield from read_records(partition, fetched, start, left=share)

    return read


def read_records(
    partition: TopicPartition, fetched: MemoryRecords, start: int, *, left: Allowance
) -> Iterator[Record]:
    """Read the records of a fetch of one partition, oldest first, from offset ``start`` on.

    They end where nothing is ``left``, and in front of a batch other than the first that is
    damaged. The next fetch starts there.

    Raises:
        UnreadableBatch: the first batch is damaged, or of a kind that is not known.
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
            is_known = isinstance(error, (_DamagedError, UnknownCodec))
            reason = str(error) if is_known else type(error).__name__
            place = (partition.topic, partition.partition, offset)
            raise UnreadableBatch(*place, reason, following) from error
        yield from records
        is_first = False
    skip_rest(fetched)


class _DamagedError(Exception):
    """A batch is not as it was sent, or not of the format that brokers take."""


class _ExcessiveError(Exception):
    """A batch has more than is read of one."""


def _records(
    batch: DefaultRecordBatch | LegacyRecordBatch, start: int, left: Allowance
) -> list[Record]:
    if isinstance(batch, LegacyRecordBatch):
        raise _DamagedError("its format is older than version 2")
    if not batch.validate_crc():
        raise _DamagedError("its checksum is wrong")
    records: list[Record] = []
    unread = None
    try:
        if not _read(batch, start, left, records):
            return records
    except _ExcessiveError as error:
        unread = Unread("excessive", f"must not be in a record batch of {error}")
    except (UnpackError, ValueError, IndexError) as error:
        reason = "a length is wrong" if isinstance(error, IndexError) else error
        unread = Unread("undecodable", f"must be in a record batch that can be read: {reason}")
    last = batch.base_offset + batch.last_offset_delta
    if unread:
        following = records[-1].offset + 1 if records else max(start, batch.base_offset)
        if following <= last:
            unread = replace(unread, messages=last - following + 1)
            is_message = not batch.attributes & _CONTROL
            time = batch.max_timestamp
            records.append(Record(following, time, None, None, (), is_message, unread))
    if not records or records[-1].offset < last:
        records.append(Record(last, batch.max_timestamp, None, None, (), is_message=False))
    return records


def _read(  # noqa: C901, PLR0912, PLR0915 (calls would cost too much)
    batch: DefaultRecordBatch,
    start: int,
    left: Allowance,
    records: list[Record],
) -> bool:
    """Append the records of a batch to ``records``, without those before the offset ``start``.

    Returns whether that were all; else it came to the end of what is ``left``.

    What stands behind a record that is wrong is not read: only that one says where it begins. What
    stands behind the last one is no concern of the brokers, nor of ours.

    Raises:
        UnpackError, ValueError, IndexError: a record is wrong.
        _ExcessiveError: there is more than is read of a batch.
    """
    attributes, count = batch.attributes, record_count(batch)
    base_offset, base_timestamp = batch.base_offset, batch.first_timestamp
    fixed_timestamp = batch.max_timestamp if attributes & _LOG_APPEND_TIME else None
    is_message = not attributes & _CONTROL
    removed = batch.last_offset_delta + 1 - count  # by compaction
    first, previous = start - base_offset, -1
    pieces = unpack(attributes & _CODEC_MASK, packed_records(batch))
    buffer, at = next_piece(pieces) if count > 0 else b"", 0
    size, passed, objects = len(buffer), 0, left.objects
    try:
        for number in range(min(count, MAX_BATCH_RECORDS)):
            try:
                length, body = _varint(buffer, at)
            except IndexError:
                length, body = size, at + 1
            end = body + length
            if end > size:
                left.bytes -= at
                passed += at
                rest, at = buffer[at:], 0
                if records and left.bytes <= 0:
                    return False
                buffer, body, end = _with_record(rest, pieces)
                size = len(buffer)
                if passed + end > MAX_BATCH_BYTES:
                    raise _ExcessiveError(f"more than {MAX_BATCH_BYTES // MIB} MiB unpacked")
            timestamp, at = _varint(buffer, body + 1)  # after one byte of attributes, unused
            delta, at = _varint(buffer, at)
            if not previous < delta <= removed + number:
                raise ValueError("an offset is not that of its place in the batch")
            previous = delta
            key = value = unread = None
            headers: Headers = ()
            if end > size:
                unread = _TOO_LARGE
                buffer, at = _behind(buffer, end, pieces), 0
                size = len(buffer)
                passed += end
                left.bytes -= end  # it was unpacked all the same
            elif delta < first and end >= at:
                at = end
            else:
                key, at = _bytes(buffer, at)
                value, at = _bytes(buffer, at)
                headers, at = _headers(buffer, at, end)
                if at != end:
                    raise ValueError("a record is longer or shorter than it says")
            if delta < first:
                continue
            # Half of the time of Record(...).
            record = tuple.__new__(
                Record,
                (
                    base_offset + delta,
                    base_timestamp + timestamp if fixed_timestamp is None else fixed_timestamp,
                    key,
                    value,
                    headers,
                    is_message,
                    unread,
                ),
            )
            records.append(record)
            objects -= RECORD_OBJECTS + len(headers)
            if objects <= 0:
                return False
    finally:
        left.bytes -= at
        left.objects = objects
    if count > MAX_BATCH_RECORDS:
        raise _ExcessiveError(f"more than {MAX_BATCH_RECORDS:,} records")
    return True


def _with_record(buffer: bytes, pieces: Iterator[bytes]) -> tuple[bytes, int, int]:
    """Extend ``buffer`` by the rest of the record that it begins with.

    Of one that is too large, only to its head. Also returns where its fields begin, and its end.
    """
    head = None
    while head is None:
        try:
            head = _varint(buffer, 0)
        except IndexError:
            buffer += next_piece(pieces)
    length, body = head
    end = body + length
    missing = (end if length <= MAX_MESSAGE_BYTES else body + _HEAD_BYTES) - len(buffer)
    parts = [buffer]
    while missing > 0:
        parts.append(next_piece(pieces))
        missing -= len(parts[-1])
    return b"".join(parts), body, end


def _behind(buffer: bytes, end: int, pieces: Iterator[bytes]) -> bytes:
    """Return what follows ``end``, which is beyond the end of ``buffer``."""
    while end > len(buffer):
        end -= len(buffer)
        buffer = next_piece(pieces)
    return buffer[end:]


def _headers(buffer: bytes, at: int, end: int) -> tuple[Headers, int]:
    count, at = _varint(buffer, at)
    if count <= 0:
        return (), at
    if count > MAX_HEADERS:
        return (), max(at, end)
    headers = []
    for _ in range(count):
        name, at = _bytes(buffer, at)
        content, at = _bytes(buffer, at)
        headers.append(((name or b"").decode(errors="replace"), content or b""))
    return tuple(headers), at


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
