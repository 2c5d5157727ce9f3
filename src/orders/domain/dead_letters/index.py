"""The dead letters as a set: each root once, with all that is needed to choose among them.

Without their bytes, so that a million of them fit into memory.

A root stands for several records: copies, and further attempts of replays that failed again. It can
also stand for several messages, since a topic that was deleted and recreated begins at offset 0
again; these differ in their bytes, or in the timestamp of the first attempt.
"""

import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from orders.domain.dead_letters.headers import replayed_identity, root_of
from orders.domain.errors import NotFound
from orders.domain.intake.messages import DeadLetter, ErrorCode, Identity
from orders.domain.ports import DeadLetterReader, Entry, ReplayNote

MAX_ATTEMPTS = 3
"""A letter that has failed so often is left alone unless somebody says otherwise."""

State = Literal["waiting", "replayed", "exhausted"]

Progress = Callable[[int, int], None]
"""Told how much of how much is done."""

_REFERENCE = re.compile(r"(?:([a-zA-Z0-9._-]+)/)?([0-9]{1,19}):([0-9]{1,19})(?::([0-9]{1,19}))?")


class DeadLetterSummary(Struct, frozen=True, gc=False):
    """A dead letter without its bytes. ``place`` is where the newest copy of its attempt is kept.

    Copies of one attempt are alike in ``fingerprint``, all attempts are alike in ``content``; both
    hold in this process only. ``first_failed_at`` is that of the earliest copy.
    """

    place: tuple[int, int]
    fingerprint: int
    content: int
    code: ErrorCode
    detail: str
    failed_at: datetime
    attempt: int
    size: int
    first_failed_at: datetime
    copies: int = 1


class DeadLetterIndex(Struct):
    """All dead letters by root, and how many records among them were not recognized.

    ``letters`` has the attempt of each root that counts, ``earlier`` the others, if any.
    """

    letters: dict[Identity, DeadLetterSummary]
    unrecognized: int = 0
    earlier: dict[Identity, list[DeadLetterSummary]] = {}

    def add(self, entry: Entry) -> None:
        """Take in what stands at one place."""
        letter = entry.letter
        if letter is None:
            self.unrecognized += 1
            return
        root, summary = root_of(letter), summary_of(entry.place, letter)
        known = self.letters.get(root)
        if known is None:
            self.letters[root] = summary
            return
        self.letters[root], *others = with_copy([known, *self.earlier.get(root, ())], summary)
        if others:
            self.earlier[root] = others

    @property
    def hidden(self) -> int:
        """How many messages have the root of a newer one, of a topic that was recreated."""
        return sum(
            len({other.content for other in others} - {self.letters[root].content})
            for root, others in self.earlier.items()
        )


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

    def takes(self, identity: Identity, letter: DeadLetterSummary) -> bool:
        """Whether this letter is among them."""
        return (
            (not self.codes or letter.code in self.codes)
            and (self.since is None or letter.failed_at >= self.since)
            and (self.until is None or letter.failed_at < self.until)
            and (not self.references or any(r.names(identity) for r in self.references))
        )


def state_of(letter: DeadLetterSummary, note: ReplayNote | None, max_attempts: int) -> State:
    """What has become of a dead letter, and whether a replay would take it.

    An attempt after the one that was replayed waits again. A dead letter of which no copy is as old
    as the replay is another one than was replayed then.
    """
    if note and letter.attempt <= note.attempt and letter.first_failed_at <= note.replayed_at:
        return "replayed"
    return "waiting" if letter.attempt < max_attempts else "exhausted"


async def index_dead_letters(
    reader: DeadLetterReader, progress: Progress = lambda _done, _total: None
) -> DeadLetterIndex:
    """Read all dead letters once.

    Raises:
        NotFound: there is no topic of them.
        Unavailable: they are away.
    """
    total = await approximate_count(reader)
    index = DeadLetterIndex({})
    done = 0
    async for entry in reader.read():
        done += 1
        progress(done, max(done, total))
        index.add(entry)
    return index


async def approximate_count(reader: DeadLetterReader) -> int:
    """About how many letters there are.

    Raises:
        NotFound: there is no topic of them, which is not the same as none.
        Unavailable: they are away.
    """
    amount = await reader.approximate_count()
    if amount is None:
        text = f"topic {reader.topic} does not exist, or the brokers do not tell of it"
        raise NotFound(text)
    return amount


def with_copy(
    known: Sequence[DeadLetterSummary], new: DeadLetterSummary
) -> list[DeadLetterSummary]:
    """The attempts under one root with one more record, the one that counts first.

    Of the newest message, that is the highest attempt, and of equal ones the latest failure.
    """
    attempts = []
    for old in known:
        if old.fingerprint != new.fingerprint:
            attempts.append(old)
            continue
        newer = max(old, new, key=lambda one: (one.failed_at, one.place))
        first = min(old.first_failed_at, new.first_failed_at)
        new = replace(newer, first_failed_at=first, copies=old.copies + new.copies)
    attempts.append(new)
    latest = {one.content: one.failed_at for one in sorted(attempts, key=lambda x: x.failed_at)}
    return sorted(
        attempts,
        key=lambda one: (latest[one.content], one.content, one.attempt, one.failed_at, one.place),
        reverse=True,
    )


def summary_of(place: tuple[int, int], letter: DeadLetter) -> DeadLetterSummary:
    """The summary of a dead letter that is kept at ``place``."""
    detail = sys.intern(letter.detail)  # most dead letters say what others say
    message = letter.message
    # A replay that was sent twice fails twice, with two timestamps: still the same attempt.
    sent_at = None if replayed_identity(message.headers) else message.timestamp
    content = hash((letter.value or b"").strip())
    return DeadLetterSummary(
        place,
        hash((letter.attempt, sent_at, content)),
        content,
        letter.code,
        detail,
        letter.failed_at,
        letter.attempt,
        len(letter.value or b""),
        letter.failed_at,
    )
