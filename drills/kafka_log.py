"""Damage to what a broker keeps on its disk, and the repair of it; only while it is down."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kafka.record.util import calc_crc32c

_OVERHEAD = 12
_CRC_AT = 17
_ATTRIBUTES_AT = 21
_LAST_OFFSET_DELTA_AT = 23
_RECORDS_AT = 61
_UNKNOWN_CODEC = 7

KINDS = ("payload", "length", "unknown codec")


class Batch(NamedTuple):
    """Where a record batch stands in the file, and the first and the last offset in it."""

    at: int
    size: int
    first: int
    last: int


class KafkaLog:
    """The file of a partition that has not outgrown its first segment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: bytes | None = None

    def batches(self) -> list[Batch]:
        """All record batches, oldest first."""
        return list(_batches(self._path.read_bytes()))

    def damage(self, batch: Batch, kind: str) -> None:
        """Break one batch: a byte of its records, or its length, so that its checksum is wrong;
        or its codec, with a checksum that is right.
        """
        content = bytearray(self._path.read_bytes())
        self._before = bytes(content)
        raw = content[batch.at : batch.at + batch.size]
        if kind == "payload":
            raw[_RECORDS_AT + (len(raw) - _RECORDS_AT) // 2] ^= 0x01
        elif kind == "length":
            raw[8:_OVERHEAD] = struct.pack("!i", -_OVERHEAD)
        else:
            raw[_ATTRIBUTES_AT + 1] = raw[_ATTRIBUTES_AT + 1] & ~0x07 | _UNKNOWN_CODEC
            raw[_CRC_AT:_ATTRIBUTES_AT] = struct.pack(
                "!I", calc_crc32c(bytes(raw[_ATTRIBUTES_AT:]))
            )
        content[batch.at : batch.at + batch.size] = raw
        self._path.write_bytes(content)

    def repair(self) -> None:
        """Put back what was there before the damage, and leave alone what came after it."""
        assert self._before is not None
        with self._path.open("r+b") as file:
            file.write(self._before)


def _batches(content: bytes) -> Iterator[Batch]:
    at = 0
    while at + _RECORDS_AT <= len(content):
        first, length = struct.unpack_from("!qi", content, at)
        if length <= 0:  # room that the broker has taken in advance
            return
        (delta,) = struct.unpack_from("!i", content, at + _LAST_OFFSET_DELTA_AT)
        yield Batch(at, _OVERHEAD + length, first, first + delta)
        at += _OVERHEAD + length
