"""Lists dead letters with their state."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from heapq import nlargest

from msgspec import Struct

from orders.domain.dead_letters.index import (
    MAX_ATTEMPTS,
    DeadLetterIndex,
    DeadLetterSummary,
    Progress,
    Selection,
    State,
    index_dead_letters,
    state_of,
)
from orders.domain.intake.messages import ErrorCode, Identity
from orders.domain.ports import DeadLetterReader, Places, ReplayJournal, ReplayNote

_CHUNK = 10_000
"""How many details are in memory at a time, of at most 4 KB each."""


class ListedDeadLetter(Struct, frozen=True):
    """A dead letter in a list; ``replayed_at`` is the time of its last replay."""

    identity: Identity
    summary: DeadLetterSummary
    detail: str
    state: State
    replayed_at: datetime | None


class DeadLetterList(Struct, frozen=True):
    """Selected dead letters: their numbers by code and by state, and the latest of them.

    ``dead_letters`` come in the order of their failures. They are read again while they are
    iterated, which may raise Unavailable; those that were deleted in the meantime are left out.

    ``unrecognized`` counts records on the topic that are not ours, ``hidden`` those with the root
    of a newer message, because their source topic was recreated.
    """

    by_code: Mapping[ErrorCode, int]
    by_state: Mapping[State, int]
    dead_letters: AsyncIterator[ListedDeadLetter]
    unrecognized: int
    hidden: int


class DeadLetterCounts(Struct, frozen=True):
    """The number of ``waiting`` dead letters by code, and of ``exhausted`` ones.

    ``read`` of about ``total`` records were counted; ``is_complete`` if these are all.
    """

    waiting: Mapping[ErrorCode, int] = {}
    exhausted: int = 0
    read: int = 0
    total: int = 0
    is_complete: bool = True


class ListDeadLetters:
    """Lists and counts dead letters with their state."""

    def __init__(self, reader: DeadLetterReader, journal: ReplayJournal) -> None:
        self._reader = reader
        self._journal = journal

    async def __call__(
        self,
        selection: Selection = Selection(),  # noqa: B008 (immutable)
        states: frozenset[State] = frozenset(),
        max_attempts: int = MAX_ATTEMPTS,
        limit: int | None = None,
        progress: Progress = lambda _done, _total: None,
    ) -> DeadLetterList:
        """List the dead letters in ``selection``, each once; with ``states`` only those in them.

        All are counted; with ``limit``, only so many of them are listed.

        Raises:
            NotFound: the topic does not exist.
            Unavailable: the brokers are unreachable.
        """
        index = await index_dead_letters(self._reader, self._journal, progress)
        by_code: Counter[ErrorCode] = Counter()
        by_state: Counter[State] = Counter()

        def selected() -> Iterator[tuple[datetime, Identity]]:
            for identity, dead_letter in index.dead_letters.items():
                state = state_of(dead_letter, index.notes.get(identity), max_attempts)
                if (not states or state in states) and selection.takes(identity, dead_letter):
                    by_code[dead_letter.code] += 1
                    by_state[state] += 1
                    yield dead_letter.failed_at, identity

        found = sorted(selected() if limit is None else nlargest(limit, selected()))
        chosen = [identity for _, identity in found]
        dead_letters = self._read(index, chosen, max_attempts)
        return DeadLetterList(by_code, by_state, dead_letters, index.unrecognized, index.hidden)

    async def _read(
        self, index: DeadLetterIndex, chosen: Sequence[Identity], max_attempts: int
    ) -> AsyncIterator[ListedDeadLetter]:
        for start in range(0, len(chosen), _CHUNK):
            chunk = {
                identity: index.dead_letters[identity]
                for identity in chosen[start : start + _CHUNK]
            }
            places = Places(summary.place for summary in chunk.values())
            details = {
                entry.place: entry.dead_letter.detail
                async for entry in self._reader.read(places)
                if entry.dead_letter
            }
            for identity, summary in chunk.items():
                if summary.place not in details:
                    continue
                note = index.notes.get(identity)
                state = state_of(summary, note, max_attempts)
                replayed_at = note.replayed_at if note and state == "replayed" else None
                detail = details[summary.place]
                yield ListedDeadLetter(identity, summary, detail, state, replayed_at)

    async def count(
        self, seconds: float, max_attempts: int = MAX_ATTEMPTS
    ) -> DeadLetterCounts | None:
        """Count waiting dead letters, reading for at most ``seconds``; None if there is no topic.

        Raises:
            Unavailable: the brokers are unreachable.
        """
        total = await self._reader.approximate_count()
        if not total:
            return DeadLetterCounts() if total == 0 else None
        notes: Mapping[Identity, ReplayNote] = {}
        index = DeadLetterIndex()
        read = 0
        is_complete = False
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                notes = await self._journal.read()
                async for entry in self._reader.read():
                    index.add(entry)
                    read += 1
                is_complete = True
        index.settle(notes)
        waiting: Counter[ErrorCode] = Counter()
        exhausted = 0
        for identity, dead_letter in index.dead_letters.items():
            state = state_of(dead_letter, notes.get(identity), max_attempts)
            waiting[dead_letter.code] += state == "waiting"
            exhausted += state == "exhausted"
        return DeadLetterCounts(+waiting, exhausted, read, total, is_complete)
