"""The dead letters as a set: each identity once, with all that is needed to choose among them.

Without their bytes, so that a million of them fit into memory.

An identity can stand for several messages: a topic that was deleted and made anew begins at
offset 0 again. What tells them apart is the message itself, its timestamp and its bytes.
"""

import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from orders.domain.errors import NotFound
from orders.domain.intake.messages import DeadLetter, ErrorCode, Identity
from orders.domain.letter_headers import replayed_identity
from orders.domain.ports import DeadLetterReader, Entry, Replays

MAX_ATTEMPTS = 3
"""A letter that has failed so often is left alone unless somebody says otherwise."""

State = Literal["waiting", "replayed", "given-up"]

Progress = Callable[[int, int], None]
"""Told how much of how much is done."""

_REFERENCE = re.compile(r"(?:([a-zA-Z0-9._-]+)/)?([0-9]{1,19}):([0-9]{1,19})(?::([0-9]{1,19}))?")


class LetterSummary(Struct, frozen=True, gc=False):
    """A letter without its bytes. ``place`` is where its newest copy is kept.

    Copies are alike in ``fingerprint``, which holds in this process only; ``first_failed_at`` is
    that of the earliest. ``replay_of`` is the letter that its message was sent again for.
    """

    place: tuple[int, int]
    fingerprint: int
    code: ErrorCode
    detail: str
    failed_at: datetime
    attempt: int
    size: int
    first_failed_at: datetime
    copies: int = 1
    replay_of: Identity | None = None

    def is_newer_than(self, other: "LetterSummary") -> bool:
        """Which of two copies counts: places of different partitions have no order in time."""
        return (self.failed_at, self.place) > (other.failed_at, other.place)


class LetterIndex(Struct):
    """All letters by identity, and how many messages among them were not letters at all.

    ``letters`` has the newest message of each identity, ``earlier`` the others where there are any.
    ``successors`` has, by the letter that was sent again, when the last letter came of that.
    """

    letters: dict[Identity, LetterSummary]
    strangers: int = 0
    earlier: dict[Identity, list[LetterSummary]] = {}
    successors: dict[Identity, datetime] = {}

    def add(self, entry: Entry) -> None:
        """Take in what stands at one place."""
        letter = entry.letter
        if letter is None:
            self.strangers += 1
            return
        identity, summary = letter.identity, summary_of(entry.place, letter)
        known = self.letters.get(identity)
        if known is None:
            self.letters[identity] = summary
        else:
            newest, *others = with_copy([known, *self.earlier.get(identity, ())], summary)
            self.letters[identity] = newest
            if others:
                self.earlier[identity] = others
        parent = summary.replay_of
        if parent is not None and parent != identity:
            last = self.successors.get(parent, summary.failed_at)
            self.successors[parent] = max(last, summary.failed_at)

    def is_superseded(self, identity: Identity) -> bool:
        """Whether this letter was sent again and a letter came of that, which goes on for it."""
        last = self.successors.get(identity)
        return last is not None and last > self.letters[identity].first_failed_at


class Reference(Struct, frozen=True):
    """How people name letters: by the source's partition and offset, and more where they need it.

    As a text: ``[topic/]partition:offset[:index]``.
    """

    topic: str | None
    partition: int
    offset: int
    index: int | None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """The reference that is written as ``text``.

        Raises:
            ValueError: it is none.
        """
        found = _REFERENCE.fullmatch(text)
        if found is None:
            raise ValueError("not of the form [topic/]partition:offset[:index]")
        topic, partition, offset, index = found.groups()
        return cls(topic, int(partition), int(offset), None if index is None else int(index))

    def __str__(self) -> str:
        topic = "" if self.topic is None else f"{self.topic}/"
        index = "" if self.index is None else f":{self.index}"
        return f"{topic}{self.partition}:{self.offset}{index}"

    def names(self, identity: Identity) -> bool:
        """Whether it names this letter; of a message with several, without an index, all."""
        origin = identity.origin
        return (
            (self.partition, self.offset) == (origin.partition, origin.offset)
            and self.topic in (None, origin.topic)
            and self.index in (None, identity.index)
        )


class Selection(Struct, frozen=True, kw_only=True):
    """Which letters somebody is after; what is empty or None does not restrict.

    ``since`` is inclusive, ``until`` is not; both are held against the time of the failure.
    """

    codes: frozenset[ErrorCode] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    references: tuple[Reference, ...] = ()

    def takes(self, identity: Identity, letter: LetterSummary) -> bool:
        """Whether this letter is among them."""
        return (
            (not self.codes or letter.code in self.codes)
            and (self.since is None or letter.failed_at >= self.since)
            and (self.until is None or letter.failed_at < self.until)
            and (not self.references or any(r.names(identity) for r in self.references))
        )


def state_of(
    identity: Identity, letter: LetterSummary, replays: Replays, max_attempts: int
) -> State:
    """What has become of a letter, and whether a replay would take it.

    A letter of which no copy is as old as the replay is another one than was replayed then.
    """
    replayed_at = replays.replayed.get(identity)
    if replayed_at is not None and letter.first_failed_at <= replayed_at:
        return "replayed"
    return "waiting" if letter.attempt < max_attempts else "given-up"


async def index_letters(
    reader: DeadLetterReader, progress: Progress = lambda _done, _total: None
) -> LetterIndex:
    """Read all dead letters once.

    Raises:
        NotFound: there is no topic of them.
        Unavailable: they are away.
    """
    total = await amount_in(reader)
    index = LetterIndex({})
    done = 0
    async for entry in reader.read():
        done += 1
        progress(done, max(done, total))
        index.add(entry)
    return index


async def amount_in(reader: DeadLetterReader) -> int:
    """About how many letters there are.

    Raises:
        NotFound: there is no topic of them, which is not the same as none.
        Unavailable: they are away.
    """
    amount = await reader.places()
    if amount is None:
        text = f"topic {reader.topic} does not exist, or the brokers do not tell of it"
        raise NotFound(text)
    return amount


def with_copy(known: Sequence[LetterSummary], new: LetterSummary) -> list[LetterSummary]:
    """The messages that one identity stands for, the newest first, with one more copy of one."""
    messages = [new]
    for old in known:
        if old.fingerprint != new.fingerprint:
            messages.append(old)
            continue
        first = min(old.first_failed_at, new.first_failed_at)
        newer = new if new.is_newer_than(old) else old
        messages[0] = replace(newer, first_failed_at=first, copies=old.copies + new.copies)
    return sorted(messages, key=lambda message: (message.failed_at, message.place), reverse=True)


def summary_of(place: tuple[int, int], letter: DeadLetter) -> LetterSummary:
    """A letter that is kept at ``place``, without its bytes."""
    detail = sys.intern(letter.detail)  # most letters say what others say
    return LetterSummary(
        place,
        hash((letter.message.timestamp, letter.value)),
        letter.code,
        detail,
        letter.failed_at,
        letter.attempt,
        len(letter.value or b""),
        letter.failed_at,
        replay_of=replayed_identity(letter.message.headers),
    )
