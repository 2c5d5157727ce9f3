"""Record batches as no client library writes them, and requests that send them as they are."""

import io
import socket
import struct
import time
from collections.abc import Sequence

from kafka.protocol.produce import ProduceRequest
from kafka.record.util import calc_crc32c

NOW = int(time.time() * 1000)  # retention deletes what is old
_VERSION = 7


def varint(number: int) -> bytes:
    raw = ((number << 1) ^ (number >> 63)) & (1 << 64) - 1
    out = bytearray()
    while raw > 0x7F:
        out.append(raw & 0x7F | 0x80)
        raw >>= 7
    return bytes([*out, raw])


def _nullable(content: bytes | None) -> bytes:
    return varint(-1) if content is None else varint(len(content)) + content


def record(delta: int, value: bytes | None, *, length: int | None = None) -> bytes:
    """A record without key and headers that stands ``delta`` behind its batch's first offset.

    ``length`` is what it says of its own length, in place of the truth.
    """
    body = b"\0" + varint(0) + varint(delta) + _nullable(None) + _nullable(value) + varint(0)
    return varint(len(body) if length is None else length) + body


def batch(
    records: bytes, count: int, *, attributes: int = 0, magic: int = 2, checksum: int | None = None
) -> bytes:
    """A batch of ``count`` records, packed as ``attributes`` say; its checksum is right."""
    rest = struct.pack(">hiqqqhii", attributes, count - 1, NOW, NOW, -1, -1, -1, count) + records
    crc = calc_crc32c(rest) if checksum is None else checksum
    body = struct.pack(">ibI", -1, magic, crc) + rest
    return struct.pack(">qi", 0, len(body)) + body


def produce(bootstrap: str, topic: str, batches: Sequence[bytes], partition: int = 0) -> list[int]:
    """Send each batch by a request of its own; the brokers' error codes, 0 for each one taken."""
    host, port = bootstrap.rsplit(":", 1)
    request = ProduceRequest[_VERSION]
    codes = []
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        stream = connection.makefile("rwb")
        for number, data in enumerate(batches):
            asked = request(
                transactional_id=None,
                required_acks=-1,
                timeout=30_000,
                topics=[(topic, [(partition, data)])],
            )
            body = struct.pack(">hhih", 0, _VERSION, number, -1) + asked.encode()
            stream.write(struct.pack(">i", len(body)) + body)
            stream.flush()
            [size] = struct.unpack(">i", stream.read(4))
            answer = io.BytesIO(stream.read(size)[4:])
            [[_, [[_, code, *_]]]] = request.RESPONSE_TYPE.decode(answer).topics
            codes.append(code)
    return codes
