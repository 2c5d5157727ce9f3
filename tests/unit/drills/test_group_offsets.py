"""Commits that go back are found: a count that cannot be wrong proves nothing."""

import struct
from dataclasses import dataclass

from drills.group_offsets import Commit, commits, moved_back


def commit(offset: int | None, partition: int = 0) -> Commit:
    return Commit("group", "orders", partition, offset)


def text(value: str) -> bytes:
    return struct.pack("!h", len(value)) + value.encode()


@dataclass
class Note:
    """What librdkafka's messages offer, as far as it is used."""

    key_bytes: bytes | None
    value_bytes: bytes | None

    def key(self) -> bytes | None:
        return self.key_bytes

    def value(self) -> bytes | None:
        return self.value_bytes


def test_commits_are_read_as_the_broker_writes_them() -> None:
    key = struct.pack("!h", 1) + text("group") + text("orders") + struct.pack("!i", 3)
    value = struct.pack("!hqi", 3, 70, -1) + text("") + struct.pack("!q", 1)
    membership = struct.pack("!h", 2) + text("group")
    notes = [Note(key, value), Note(membership, b"..."), Note(None, b"control"), Note(key, None)]
    assert list(commits(notes)) == [commit(70, 3), commit(None, 3)]  # type: ignore[arg-type]


def test_commits_that_advance_or_stand_still_are_fine() -> None:
    assert not moved_back([commit(1), commit(9, 1), commit(1), commit(2), commit(10, 1)])


def test_a_commit_that_goes_back_is_reported() -> None:
    [move] = moved_back([commit(5), commit(9, 1), commit(4), commit(5)])
    assert "committed to 5, and then to 4" in move


def test_going_back_is_fine_where_it_was_ordered_and_only_then() -> None:
    ordered = [commit(2)]
    assert not moved_back([commit(2), commit(5), commit(2), commit(5)], ordered)
    assert len(moved_back([commit(5), commit(2), commit(5), commit(2)], ordered)) == 1


def test_offsets_that_the_broker_has_deleted_start_over() -> None:
    assert not moved_back([commit(5), commit(None), commit(1)])
