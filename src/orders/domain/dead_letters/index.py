"""An index of the dead letters by root, without their payloads, so that a million fit into memory.

A root can have several records: copies, and further attempts after replays that failed again. It
can also have several messages, since a topic that was deleted and recreated starts at offset 0
again; these differ in their bytes or in the timestamp of the first attempt.

Anybody who may write to the source topic may send the headers of a replay. So these are only a
claim, which ``DeadLetterIndex.settle`` compares with the other records and with the journal.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from orders.domain.dead_letters.headers import replayed_identity, root_of
from orders.domain.errors import NotFound
from orders.domain.intake.messages import DeadLetter, ErrorCode, Identity
from orders.domain.ports import DeadLetterReader, Entry, Places, ReplayJournal, ReplayNote

MAX_ATTEMPTS = 3
"""A dead letter that has failed this often is not replayed by default."""

State = Literal["waiting", "replayed", "exhausted"]

Progress = Callable[[int, int], None]
"""Called with the number of records read and the approximate total."""

T = TypeVar("T")

_REFERENCE = re.compile(r"(?:([a-zA-Z0-9._-]+)/)?([0-9]{1,19}):([0-9]{1,19})(?::([0-9]{1,19}))?")


class DeadLetterSummary(Struct, frozen=True, array_like=True):
    """A dead letter without its payload; ``place`` is the position of its newest copy.

    Copies of one attempt have the same ``fingerprint``, and all attempts the same ``content``; both
    are valid in this process only. ``first_failed_at`` is that of the earliest copy, ``omitted`` is
    that of the dead letter. The detail is read again where it is shown: those of the elements of
    arrays all differ.
    """

    place: tuple[int, int]
    fingerprint: int
    content: int
    code: ErrorCode
    failed_at: datetime
    attempt: int
    size: int
    first_failed_at: datetime
    omitted: int = 0
    copies: int = 1


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(DeadLetterSummary).decode


class _Packed(Mapping[Identity, T]):
    """Values as bytes, which take a quarter of what their objects do."""

    def __init__(self, kind: type[T]) -> None:
        self._packed: dict[Identity, bytes] = {}
        self._decode = msgspec.msgpack.Decoder(kind).decode

    def __getitem__(self, root: Identity) -> T:
        return self._decode(self._packed[root])

    def __setitem__(self, root: Identity, value: T) -> None:
        self._packed[root] = _pack(value)

    def __iter__(self) -> Iterator[Identity]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


class _Claim(Struct, frozen=True, gc=False):
    """A record of a message that says of which ``root`` it is a replay; ``identity`` is its own."""

    root: Identity
    identity: Identity
    packed: bytes

    @property
    def summary(self) -> DeadLetterSummary:
        return _unpack(self.packed)


class DeadLetterIndex:
    """All dead letters by root, and the number of records that were not recognized.

    ``places`` are those of all records, also of such that it does not keep.

    ``dead_letters`` has the latest attempt of each root, ``earlier`` has the others. Both lack
    replays until ``settle``, which also sets ``notes``, those of the journal.
    """

    def __init__(self) -> None:
        self.dead_letters = _Packed(DeadLetterSummary)
        self.earlier = _Packed(list[DeadLetterSummary])
        self.notes: Mapping[Identity, ReplayNote] = {}
        self.unrecognized = 0
        self.places = Places()
        self._claims: list[_Claim] = []

    def add(self, entry: Entry) -> None:
        """Add a record."""
        self.places.append(entry.place)
        dead_letter = entry.dead_letter
        if dead_letter is None:
            self.unrecognized += not entry.is_forgotten
            return
        root, summary = root_of(dead_letter), summary_of(entry.place, dead_letter)
        if replayed_identity(dead_letter.message.headers):
            self._claims.append(_Claim(root, dead_letter.identity, _pack(summary)))
        else:
            self._add(root, summary)

    def root_at(self, entry: Entry) -> Identity | None:
        """The root of the dead letter of which this record is the newest; None of any other."""
        if entry.dead_letter is None:
            return None
        for root in (root_of(entry.dead_letter), entry.dead_letter.identity):
            summary = self.dead_letters.get(root)
            if summary and summary.place == entry.place:
                return root
        return None

    def settle(self, notes: Mapping[Identity, ReplayNote]) -> None:
        """Find the roots and attempts of replays, once all records are added.

        A record with another content than that of its root is a dead letter of its own. If the
        root's own record is gone, that of the earliest failure decides the content.
        """
        self.notes = notes
        self._claims.sort(key=lambda c: (c.summary.failed_at, c.summary.place), reverse=True)
        contents = {claim.identity: claim.summary.content for claim in self._claims}
        while self._claims:  # anybody can send a million, so each is dropped as it is used
            claim = self._claims.pop()
            root, summary = claim.root, claim.summary
            known = self._contents(root) | ({contents[root]} if root in contents else set())
            found = claim.identity if known and summary.content not in known else root
            self._add(found, _counted(summary, notes.get(found)))

    def _add(self, root: Identity, summary: DeadLetterSummary) -> None:
        known = self.dead_letters.get(root)
        if known is None:
            self.dead_letters[root] = summary
            return
        self.dead_letters[root], *others = with_copy([known, *self.earlier.get(root, ())], summary)
        if others:
            self.earlier[root] = others

    def _contents(self, root: Identity) -> set[int]:
        latest = self.dead_letters.get(root)
        return {one.content for one in (latest, *self.earlier.get(root, ())) if one}

    @property
    def hidden(self) -> int:
        """The number of messages with the root of a newer one, because the topic was recreated."""
        return sum(
            len({other.content for other in others} - {self.dead_letters[root].content})
            for root, others in self.earlier.items()
        )


class Reference(Struct, frozen=True):
    """A reference to dead letters by their source: ``[topic/]partition:offset[:index]``."""

    topic: str | None
    partition: int
    offset: int
    index: int | None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Parse a reference.

        Raises:
            ValueError: ``text`` is not one.
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
        """Whether it refers to this dead letter; without an index, to all of the message."""
        origin = identity.origin
        return (
            (self.partition, self.offset) == (origin.partition, origin.offset)
            and self.topic in (None, origin.topic)
            and self.index in (None, identity.index)
        )


class Selection(Struct, frozen=True, kw_only=True):
    """A filter of dead letters; fields that are empty or None do not restrict it.

    ``since`` is inclusive, ``until`` exclusive; both apply to the time of the failure.
    """

    codes: frozenset[ErrorCode] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    references: tuple[Reference, ...] = ()

    def takes(self, identity: Identity, dead_letter: DeadLetterSummary) -> bool:
        """Whether the filter selects this dead letter."""
        return (
            (not self.codes or dead_letter.code in self.codes)
            and (self.since is None or dead_letter.failed_at >= self.since)
            and (self.until is None or dead_letter.failed_at < self.until)
            and (not self.references or any(r.names(identity) for r in self.references))
        )


def state_of(dead_letter: DeadLetterSummary, note: ReplayNote | None, max_attempts: int) -> State:
    """Return the state of a dead letter.

    An attempt after the replayed one waits again. If no copy is as old as the replay, the note is
    about another message with the same root.
    """
    if (
        note
        and dead_letter.attempt <= note.attempt
        and dead_letter.first_failed_at <= note.replayed_at
    ):
        return "replayed"
    return "waiting" if dead_letter.attempt < max_attempts else "exhausted"


def _counted(claimed: DeadLetterSummary, note: ReplayNote | None) -> DeadLetterSummary:
    """Give an attempt that no noted replay can have led to the number that one can have led to."""
    most = note.attempt + 1 if note else 1
    if claimed.attempt <= most:
        return claimed
    attempt = most if note and claimed.failed_at > note.replayed_at else 1
    return replace(claimed, attempt=attempt, fingerprint=hash((attempt, None, claimed.content)))


async def index_dead_letters(
    reader: DeadLetterReader,
    journal: ReplayJournal,
    progress: Progress = lambda _done, _total: None,
) -> DeadLetterIndex:
    """Read all dead letters and the journal. Raises what ``read_all`` raises."""
    index = DeadLetterIndex()

    async def add_all() -> None:
        async for entry in read_all(reader, progress):
            index.add(entry)

    # Concurrently, since an operator waits.
    notes, _ = await asyncio.gather(journal.read(), add_all())
    index.settle(notes)
    return index


async def read_all(reader: DeadLetterReader, progress: Progress) -> AsyncIterator[Entry]:
    """Yield all records, and report the progress.

    Raises:
        NotFound: the topic does not exist.
        Unavailable: the brokers are unreachable.
    """
    total = await reader.approximate_count()
    if total is None:
        text = f"topic {reader.topic} does not exist, or this client may not describe it"
        raise NotFound(text)
    done = 0
    async for entry in reader.read():
        done += 1
        progress(done, max(done, total))
        yield entry


def with_copy(
    known: Sequence[DeadLetterSummary], new: DeadLetterSummary
) -> list[DeadLetterSummary]:
    """Add a record to the attempts of one root; the first of the result is the latest attempt.

    That is the highest attempt of the newest message, and of equal attempts the latest failure.
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


def summary_of(place: tuple[int, int], dead_letter: DeadLetter) -> DeadLetterSummary:
    """Summarize the dead letter at ``place``."""
    message = dead_letter.message
    # A replay that is sent twice fails twice, with two timestamps, and is still one attempt.
    sent_at = None if replayed_identity(message.headers) else message.timestamp
    content = hash(((dead_letter.value or b"").strip(), message.key, dead_letter.omitted))
    return DeadLetterSummary(
        place,
        hash((dead_letter.attempt, sent_at, content)),
        content,
        dead_letter.code,
        dead_letter.failed_at,
        dead_letter.attempt,
        len(dead_letter.value or b""),
        dead_letter.failed_at,
        dead_letter.omitted,
    )
