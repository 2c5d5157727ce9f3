"""Lists dead letters with their state."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

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
from orders.domain.ports import DeadLetterReader, ReplayJournal, ReplayNote


class ListedDeadLetter(Struct, frozen=True, gc=False):
    """A dead letter in a list; ``replayed_at`` is the time of its last replay."""

    identity: Identity
    summary: DeadLetterSummary
    state: State
    replayed_at: datetime | None


class DeadLetterList(Struct, frozen=True):
    """Selected dead letters in the order of their failures.

    ``unrecognized`` counts records on the topic that are not ours, ``hidden`` those with the root
    of a newer message, because their source topic was recreated.
    """

    dead_letters: tuple[ListedDeadLetter, ...]
    unrecognized: int
    hidden: int = 0

    @property
    def by_code(self) -> Mapping[ErrorCode, int]:
        """The number of dead letters by code."""
        return Counter(listed.summary.code for listed in self.dead_letters)

    @property
    def by_state(self) -> Mapping[State, int]:
        """The number of dead letters by state."""
        return Counter(listed.state for listed in self.dead_letters)


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
        progress: Progress = lambda _done, _total: None,
    ) -> DeadLetterList:
        """List the dead letters in ``selection``, each once; with ``states`` only those in them.

        Raises:
            NotFound: the topic does not exist.
            Unavailable: the brokers are unreachable.
        """
        index = await index_dead_letters(self._reader, self._journal, progress)
        found = []
        for identity, dead_letter in index.dead_letters.items():
            note = index.notes.get(identity)
            state = state_of(dead_letter, note, max_attempts)
            if (not states or state in states) and selection.takes(identity, dead_letter):
                replayed_at = note.replayed_at if note and state == "replayed" else None
                found.append(ListedDeadLetter(identity, dead_letter, state, replayed_at))
        found.sort(key=lambda listed: (listed.summary.failed_at, listed.identity))
        return DeadLetterList(tuple(found), index.unrecognized, index.hidden)

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
