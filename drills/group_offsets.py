"""What a group has ever committed, as the brokers noted it down in their own topic."""

import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from confluent_kafka import Message

_OFFSET_KEYS = (0, 1)
_KNOWN_VALUES = range(5)  # in all of them the offset comes first


class Commit(NamedTuple):
    """One note; ``offset`` is None where the broker has forgotten the offset, with its topic."""

    group: str
    topic: str
    partition: int
    offset: int | None


def commits(messages: Iterable[Message]) -> Iterator[Commit]:
    """The commits among the records of ``__consumer_offsets``, each partition's in their order."""
    for message in messages:
        key: Any = message.key()
        value: Any = message.value()
        if key and int.from_bytes(key[:2], "big") in _OFFSET_KEYS:
            group, at = _text(key, 2)
            topic, at = _text(key, at)
            (partition,) = struct.unpack_from("!i", key, at)
            yield Commit(group, topic, partition, None if value is None else _offset(value))


def moved_back(found: Iterable[Commit], allowed: Iterable[Commit] = ()) -> list[str]:
    """Where a commit lies before an earlier one, other than those that somebody has ordered."""
    ordered, last, moves = list(allowed), dict[tuple[str, int], int](), []
    for commit in found:
        place = (commit.topic, commit.partition)
        before = last.pop(place, 0)
        if commit.offset is None:
            continue
        last[place] = commit.offset
        if commit.offset >= before:
            continue
        if commit in ordered:
            ordered.remove(commit)
        else:
            moves.append(f"{place} was committed to {before}, and then to {commit.offset}")
    return moves


def _offset(value: bytes) -> int:
    version, offset = struct.unpack_from("!hq", value)
    assert version in _KNOWN_VALUES, f"offsets are written in the unknown version {version}"
    return int(offset)


def _text(raw: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("!h", raw, at)
    at += 2
    return raw[at : at + length].decode(), at + length
