"""Reading of record batches, against the client's own writer of them."""

import gzip
import struct

import lz4.frame  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import calc_crc32c
from kafka.structs import TopicPartition

from orders.adapters.kafka.wire import record_batches
from orders.adapters.kafka.wire.record_batches import (
    Allowance,
    Record,
    UnreadableBatch,
    read_records,
    reader_of_poll,
)
from orders.domain.intake.messages import MAX_MESSAGE_BYTES, Headers
from tests.integration.kafka.raw_batches import batch as raw_batch
from tests.integration.kafka.raw_batches import record as raw_record

PARTITION = TopicPartition("orders", 3)
_CRC_AT = 17
_ATTRIBUTES_AT = 21

any_headers = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=200)), max_size=3).map(
    tuple
)
any_records = st.lists(
    st.builds(
        Record,
        offset=st.just(0),
        timestamp=st.integers(0, 2**41),
        key=st.none() | st.binary(max_size=200),
        value=st.none() | st.binary(max_size=2_000),
        headers=any_headers,
        is_message=st.just(True),
        unread=st.none(),
    ),
    min_size=1,
    max_size=10,
)


def batch_of(records: list[Record], codec: int = 0, base_offset: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 30)
    for number, record in enumerate(records):
        builder.append(number, record.timestamp, record.key, record.value, list(record.headers))
    return struct.pack(">q", base_offset) + bytes(builder.build())[8:]


def resealed(batch: bytes, attributes: int | None = None) -> bytes:
    """The same with a checksum that fits, and other attributes if they are given."""
    if attributes is not None:
        batch = batch[:_ATTRIBUTES_AT] + struct.pack(">h", attributes) + batch[_ATTRIBUTES_AT + 2 :]
    crc = struct.pack(">I", calc_crc32c(batch[_ATTRIBUTES_AT:]))
    return batch[:_CRC_AT] + crc + batch[_ATTRIBUTES_AT:]


def read(*batches: bytes) -> list[Record]:
    return list(read_records(PARTITION, MemoryRecords(b"".join(batches)), 0, left=Allowance()))


def one(value: bytes = b"v", headers: Headers = ()) -> Record:
    return Record(0, 1_600_000_000_000, b"k", value, headers)


@given(any_records, st.integers(0, 4), st.integers(0, 2**62))
def test_reads_what_was_written(records: list[Record], codec: int, base_offset: int) -> None:
    expected = [
        record._replace(offset=base_offset + number) for number, record in enumerate(records)
    ]
    assert read(batch_of(records, codec, base_offset)) == expected


@given(any_records, st.integers(0, 4), st.data())
def test_a_byte_that_was_changed_is_noticed(
    records: list[Record], codec: int, data: st.DataObject
) -> None:
    batch = bytearray(batch_of(records, codec))
    at = data.draw(st.integers(_CRC_AT, len(batch) - 1))
    batch[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(UnreadableBatch, match=r"orders partition 3 .* at 0: .*checksum"):
        read(bytes(batch))


@given(any_records, st.data())
def test_whatever_a_batch_with_a_good_checksum_holds_the_error_says_where(
    records: list[Record], data: st.DataObject
) -> None:
    batch = bytearray(batch_of(records))
    at = data.draw(st.integers(_ATTRIBUTES_AT, len(batch) - 1))
    batch[at] ^= data.draw(st.integers(1, 255))
    expected = "orders partition 3 cannot be read at 0: "
    try:
        assert all(isinstance(record, Record) for record in read(resealed(bytes(batch))))
    except UnreadableBatch as error:
        expected = str(error)
    assert expected.startswith("orders partition 3 cannot be read at 0: ")


def test_what_stands_before_a_broken_batch_comes_out_first() -> None:
    good, broken = batch_of([one()]), batch_of([one()], base_offset=1)[:-1] + b"\xff"
    later = batch_of([one()], base_offset=2)
    assert [record.offset for record in read(good, broken, later)] == [0]
    with pytest.raises(UnreadableBatch, match="at 1"):
        read(broken, later)


def test_control_records_are_marked() -> None:
    [found] = read(resealed(batch_of([one(b"\0" * 6)]), attributes=0x30))
    assert not found.is_message
    assert read(batch_of([one()]))[0].is_message


def test_the_place_of_what_compaction_has_removed_is_passed() -> None:
    two_of_ten = batch_of([one(), one()], base_offset=100)
    two_of_ten = two_of_ten[:23] + struct.pack(">i", 9) + two_of_ten[27:]
    found = [(record.offset, record.is_message) for record in read(resealed(two_of_ten))]
    assert found == [(100, True), (101, True), (109, False)]
    none_of_ten = two_of_ten[:57] + struct.pack(">i", 0)
    none_of_ten = none_of_ten[:8] + struct.pack(">i", len(none_of_ten) - 12) + none_of_ten[12:]
    found = [(record.offset, record.is_message) for record in read(resealed(none_of_ten))]
    assert found == [(109, False)]


def test_time_of_the_append_wins_where_the_topic_says_so() -> None:
    batch = batch_of([one()._replace(timestamp=5), one()._replace(timestamp=9)])
    assert [r.timestamp for r in read(resealed(batch, attributes=0x08))] == [9, 9]


def test_a_header_name_that_is_not_utf_8_is_no_reason_to_stop() -> None:
    batch = batch_of([one(headers=(("abcd", b"1"), ("x", b"2")))])
    [found] = read(resealed(batch.replace(b"abcd", b"ab\xff\xfe")))
    assert found.headers == (("ab\ufffd\ufffd", b"1"), ("x", b"2"))


def test_a_header_without_a_value_reads_as_empty() -> None:
    batch = batch_of([one(headers=(("x", None),))])  # type: ignore[arg-type]
    assert read(batch)[0].headers == (("x", b""),)


def test_an_unknown_codec_is_unreadable() -> None:
    with pytest.raises(UnreadableBatch, match="codec 5"):
        read(resealed(batch_of([one()]), attributes=5))


def test_a_batch_that_is_cut_off_waits_for_the_next_fetch() -> None:
    whole = batch_of([one()])
    assert read(whole, batch_of([one()], base_offset=1)[:-3]) == read(whole)


def test_old_record_formats_are_refused_by_name() -> None:
    old = bytearray(batch_of([one()]))
    old[16] = 1
    with pytest.raises(UnreadableBatch, match="format"):
        read(bytes(old))


def from_fetches(fetched: bytes, start: int = 0) -> list[list[Record]]:
    """The records of each fetch, where every one starts at the end of the one before."""
    found: list[list[Record]] = []
    while records := [
        record
        for record in read_records(PARTITION, MemoryRecords(fetched), start, left=Allowance())
        if record.offset >= start
    ]:
        found.append(records)
        start = records[-1].offset + 1
    return found


@pytest.mark.parametrize("codec", [0, 4])
def test_a_batch_of_very_many_records_is_read_in_parts(
    monkeypatch: pytest.MonkeyPatch, codec: int
) -> None:
    monkeypatch.setattr(record_batches, "READ_OBJECTS", 200)
    many = batch_of([one(b"%d" % n) for n in range(25)], codec, base_offset=100)
    later = batch_of([one(b"25")], codec, base_offset=125)
    found = from_fetches(many + later, 100)
    assert [len(records) for records in found] == [10, 10, 6]
    every = [record for records in found for record in records]
    assert [record.offset for record in every] == list(range(100, 126))
    assert [record.value for record in every] == [b"%d" % n for n in range(26)]


def test_headers_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_batches, "READ_OBJECTS", 10)
    monkeypatch.setattr(record_batches, "RECORD_OBJECTS", 1)
    several = tuple(("h", b"%d" % n) for n in range(7))
    found = from_fetches(batch_of([one(headers=several)] * 3 + [one(headers=several * 5)] * 2))
    assert [len(records) for records in found] == [2, 2, 1]
    assert found[1][1].headers == several * 5


def test_a_record_with_too_many_headers_is_read_without_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(record_batches, "MAX_HEADERS", 3)
    header = ("h", b"")
    found = read(batch_of([one(headers=(header,) * n) for n in (3, 4, 0)]))
    assert [len(record.headers) for record in found] == [3, 0, 0]
    assert [record.value for record in found] == [b"v"] * 3


def test_few_batches_are_unpacked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_batches, "READ_BYTES", 2_500)
    batches = [batch_of([one(b" " * 1_000)], 4, base_offset=n) for n in range(7)]
    found = from_fetches(batches[0] + b"".join(batches[1:]))
    assert [record.offset for record in found[0]] == [0, 1, 2]


def test_records_that_are_too_large_count_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_batches, "READ_BYTES", 2_500)
    monkeypatch.setattr(record_batches, "MAX_MESSAGE_BYTES", 500_000)
    batches = [batch_of([one(bytes(1_000_000))], 4, base_offset=n) for n in range(3)]
    fetched = MemoryRecords(b"".join(batches))
    assert len(list(read_records(PARTITION, fetched, 0, left=Allowance()))) == 1


def test_a_part_of_a_batch_that_compaction_has_thinned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_batches, "READ_OBJECTS", 1)
    two_of_ten = batch_of([one(), one()], base_offset=100)
    two_of_ten = resealed(two_of_ten[:23] + struct.pack(">i", 9) + two_of_ten[27:])
    offsets = [[record.offset for record in records] for records in from_fetches(two_of_ten, 100)]
    assert offsets == [[100], [101], [109]]


def test_each_fetch_of_a_poll_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_batches, "READ_BYTES", 9_000)
    read_share = reader_of_poll()

    def read_of(number: int, batches: int, fetches: int) -> int:
        fetched = b"".join(batch_of([one(b" " * 1_000)], 4, base_offset=n) for n in range(batches))
        partition = TopicPartition("orders", number)
        return len(list(read_share(partition, MemoryRecords(fetched), 0, fetches)))

    assert read_of(0, 20, 3) == 3
    assert read_of(1, 1, 2) == 1
    assert read_of(2, 20, 1) == 5  # what the one before has left is added
    assert read_of(3, 20, 1) == 0


def unread_in(records: list[Record]) -> list[tuple[int, str, int]]:
    """Offset, code and number of messages of what could not be read."""
    return [(r.offset, r.unread.code, r.unread.messages) for r in records if r.unread]


CODECS = {0: bytes, 1: gzip.compress, 3: lz4.frame.compress, 4: zstandard.compress}
codecs = pytest.mark.parametrize("codec", list(CODECS))


def crafted(records: list[bytes], codec: int) -> bytes:
    return raw_batch(CODECS[codec](b"".join(records)), len(records), attributes=codec)


@codecs
def test_a_record_that_is_too_large_costs_its_neighbours_nothing(codec: int) -> None:
    huge = b" " * (MAX_MESSAGE_BYTES + 1)
    found = read(crafted([raw_record(0, b"a"), raw_record(1, huge), raw_record(2, b"b")], codec))
    if codec:
        assert [r.value for r in found] == [b"a", None, b"b"]
        assert unread_in(found) == [(1, "excessive", 1)]
    else:  # it is in memory as it is
        assert [r.value for r in found] == [b"a", huge, b"b"]


@codecs
@pytest.mark.parametrize(
    "wrong",
    [
        raw_record(1, b"x", length=3),
        raw_record(1, b"x", length=300),
        raw_record(1, b"x", length=2**40),
        raw_record(1, b"x", length=-5),
        raw_record(0, b"an offset twice"),
        raw_record(9, b"an offset outside"),
        b"\xff" * 11,
    ],
)
def test_a_record_that_is_wrong_stands_for_those_behind_it(codec: int, wrong: bytes) -> None:
    parts = [raw_record(0, b"a"), wrong, raw_record(2, b"b"), raw_record(3, b"c")]
    found = read(crafted(parts, codec), batch_of([one(b"later")], base_offset=4))
    assert [(r.offset, r.value) for r in found if r.is_message and not r.unread] == [
        (0, b"a"),
        (4, b"later"),
    ]
    assert unread_in(found) == [(1, "undecodable", 3)]
    assert [r.offset for r in found] == [0, 1, 3, 4]


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_what_was_not_packed_so_is_one_unread_record(codec: int) -> None:
    found = read(raw_batch(b"junk", 5, attributes=codec), batch_of([one()], base_offset=5))
    assert unread_in(found) == [(0, "undecodable", 5)]
    assert [r.offset for r in found] == [0, 4, 5]


def test_what_stands_behind_the_records_is_left_alone() -> None:
    assert (
        read(raw_batch(gzip.compress(raw_record(0, b"a")) + b"junk", 1, attributes=1))[0].value
        == b"a"
    )


def test_a_batch_is_unpacked_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_batches, "MAX_BATCH_BYTES", 1_000_000)
    values = [b" " * 90_000] * 20
    found = read(crafted([raw_record(n, value) for n, value in enumerate(values)], 4))
    [(offset, code, messages)] = unread_in(found)
    assert 10 <= offset <= 11
    assert (code, offset + messages) == ("excessive", 20)


def test_no_more_records_of_a_batch_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_batches, "MAX_BATCH_RECORDS", 10)
    assert unread_in(read(batch_of([one()] * 10))) == []
    assert unread_in(read(batch_of([one()] * 15))) == [(10, "excessive", 5)]


@codecs
def test_a_large_batch_is_read_in_parts(monkeypatch: pytest.MonkeyPatch, codec: int) -> None:
    monkeypatch.setattr(record_batches, "READ_BYTES", 2_000_000)
    values = [b"%d" % n + b" " * 500_000 for n in range(20)]
    found = from_fetches(crafted([raw_record(n, value) for n, value in enumerate(values)], codec))
    assert [r.value for records in found for r in records] == values
    if codec:  # else all of it is in memory
        assert max(len(records) for records in found) <= 5


@codecs
def test_of_the_rest_of_a_batch_nothing_comes_twice(
    monkeypatch: pytest.MonkeyPatch, codec: int
) -> None:
    monkeypatch.setattr(record_batches, "READ_OBJECTS", 40)
    parts = [
        *(raw_record(n, b"x") for n in range(5)),
        raw_record(5, b"x", length=1),
        raw_record(6, b"x"),
    ]
    found = from_fetches(crafted(parts, codec))
    assert [r.offset for records in found for r in records] == [0, 1, 2, 3, 4, 5, 6]
    assert [unread_in(records) for records in found][-1] == [(5, "undecodable", 2)]
