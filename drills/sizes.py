"""Group 6: the largest messages that the topic takes, and the largest batches by any codec."""

import base64
import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from drills.drill import drill
from drills.expectations import Document, Expected, Good, bad
from drills.stage import Stage
from drills.undisturbed import undisturbed

TOPIC_LIMIT = 1_048_588
"""Bytes of a record batch that a topic takes by default."""
RECORD_OVERHEAD = 72
"""Bytes of a batch with one record of about that size, besides the record's value."""
CODECS = ("gzip", "snappy", "lz4", "zstd")
MIB = 1024 * 1024

_BATCH_HEAD = struct.Struct(">qiibihiqqqhii")
"""Base offset, length, leader epoch, magic, checksum, attributes, last offset delta, ..., count."""


@drill(6, "messages at the size limit that are refused, and their dead letters")
def largest_messages(stage: Stage) -> None:
    """To the byte, by value, by key and headers, and as the one bad element of an array."""
    with undisturbed(stage, 90):
        largest = TOPIC_LIMIT - RECORD_OVERHEAD
        for _ in range(5 if stage.long else 1):
            for value, expected in _refused(stage, largest):
                assert len(value) == largest, f"{len(value)} bytes"
                _send_alone(stage, value, expected, partition=0)
            key, header = _junk(stage, 300_000), _junk(stage, 300_000)
            value, expected = next(_refused(stage, largest - 600_100))
            _send_alone(stage, value, expected, key=key, headers=[("trace", header)])
        before = stage.topics.ends(stage.topic)
        value, expected = next(_refused(stage, largest + 1))
        _send_alone(stage, value, expected, partition=0)
        assert stage.topics.ends(stage.topic) == before, "the limit is not as drilled"


@drill(6, "batches above 1 MiB unpacked, by every codec, and one of 60 MiB")
def largest_batches(stage: Stage) -> None:
    """Good orders and bad ones; nothing of what a broker takes may be too large to be read."""
    with undisturbed(stage, 120):
        for number, codec in enumerate(CODECS):
            partition = number % stage.partitions
            for _ in range(5 if stage.long else 1):
                _send_batch(stage, codec, partition, orders=500, padding=5_000)  # 3 MiB
            _assert_sent(stage, partition, codec, 500)
        for codec in ("zstd", "gzip", "lz4") if stage.long else ("zstd",):
            partition = stage.rng.randrange(stage.partitions)
            _send_batch(stage, codec, partition, orders=480, padding=130_000)  # 60 MiB
            _assert_sent(stage, partition, codec, 480)
            stage.traffic.send_orders(20, partition=partition)


def _refused(stage: Stage, size: int) -> Iterator[tuple[bytes, Sequence[Expected]]]:
    """Messages of exactly that many bytes which are invalid, undecodable or hold a bad element."""
    for template, detail in (
        (b'{"order_uid":1,"unknown":"%b"}', r"^\$\.order_uid: expected str, got int; "),
        (b'{"order_uid":"%b"}', r"^\$\.order_uid: must be 1 to 255 characters and not blank; "),
    ):
        value = template % _junk(stage, size - len(template) + 2)
        yield value, [bad(value, "invalid", detail=detail)]
    value = b'{"order_uid":"' + _junk(stage, size - 14)
    yield value, [bad(value, "undecodable", detail="JSON")]
    value = b"\xff" + _junk(stage, size - 1)
    yield value, [bad(value, "undecodable", detail="UTF-8")]
    [order] = stage.traffic.orders(1)
    raw = json.dumps(order).encode()
    element = b'{"delivery":"' + _junk(stage, size - len(raw) - 18) + b'"}'
    expected: list[Expected] = [
        Good(order, raw),
        bad(element, "invalid", detail=r"^\$\[1\]\.order_uid: is required; "),
    ]
    yield b"[" + raw + b"," + element + b"]", expected


def _junk(stage: Stage, size: int) -> bytes:
    """ASCII that no codec makes much smaller."""
    return base64.b64encode(stage.rng.randbytes(size))[:size]


def _send_alone(stage: Stage, value: bytes, expected: Sequence[Expected], **to: object) -> None:
    """In a batch of its own; a batch that is too large is refused with all that is in it."""
    with stage.traffic.through(enable_idempotence=False, batch_num_messages=1):
        stage.traffic.send(value, expected, **to)


def _send_batch(stage: Stage, codec: str, partition: int, *, orders: int, padding: int) -> None:
    """One batch; every 100th order in it is bad. Padding packs well."""
    documents = stage.traffic.orders(orders)
    options = {"batch_size": 100 * MIB, "message_max_bytes": 100 * MIB, "linger_ms": 30_000}
    with stage.traffic.through(compression_type=codec, batch_num_messages=orders, **options):
        for index, document in enumerate(documents):
            padded: Document = document | {"padding": " " * padding}
            if index % 100 == 50:
                raw = json.dumps(padded | {"items": {}}).encode()
                expected = bad(raw, "invalid", detail=r"^\$\.items: expected array, got object$")
                stage.traffic.send(raw, [expected], partition=partition)
            else:
                stage.traffic.send_order(padded, partition=partition)


class _Batch(NamedTuple):
    codec: str
    records: int


def _assert_sent(stage: Stage, partition: int, codec: str, records: int) -> None:
    """That the broker holds one batch of that codec with so many records."""
    log = stage.servers.kafka_log(stage.topic, partition)
    batches = [batch for batch in _batches(log) if batch.codec == codec]
    largest = max((batch.records for batch in batches), default=0)
    assert largest >= records, f"the largest {codec} batch holds {largest} records, not {records}"


def _batches(log: Path) -> Iterator[_Batch]:
    data = log.read_bytes()
    at = 0
    while at + _BATCH_HEAD.size <= len(data):
        head = _BATCH_HEAD.unpack_from(data, at)
        length, attributes, records = head[1], head[5], head[-1]
        yield _Batch(("none", *CODECS)[attributes & 7], records)
        at += 12 + length


DRILLS = (largest_messages, largest_batches)
