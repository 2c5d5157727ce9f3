"""Say which dead letters there are, and what has become of each."""

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
    """A letter in a list; ``replayed_at`` is when it was last sent again."""

    identity: Identity
    letter: DeadLetterSummary
    state: State
    replayed_at: datetime | None


class DeadLetterList(Struct, frozen=True):
    """What was asked for, in the order of the failures, and what else there is to know.

    ``unrecognized`` counts messages among the dead letters that are none of ours, ``hidden`` those
    whose identity a newer message has, of a topic that was recreated.
    """

    letters: tuple[ListedDeadLetter, ...]
    unrecognized: int
    hidden: int = 0

    @property
    def by_code(self) -> Mapping[ErrorCode, int]:
        """How many letters of each code."""
        return Counter(listed.letter.code for listed in self.letters)

    @property
    def by_state(self) -> Mapping[State, int]:
        """How many letters in each state."""
        return Counter(listed.state for listed in self.letters)


class DeadLetterCounts(Struct, frozen=True):
    """How many letters of each code ``waiting`` for somebody there are, and how many ``exhausted``.

    ``read`` of about ``places`` messages were looked at; not ``is_complete``: there are more.
    """

    waiting: Mapping[ErrorCode, int] = {}
    exhausted: int = 0
    read: int = 0
    places: int = 0
    is_complete: bool = True


class ListDeadLetters:
    """Lists dead letters with their state."""

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
        """The letters that ``selection`` takes, each once; with ``states`` only those in them.

        Raises:
            NotFound: there is no topic of them.
            Unavailable: the dead letters or the journal are away.
        """
        # At once, since an operator waits.
        notes, index = await asyncio.gather(
            self._journal.read(), index_dead_letters(self._reader, progress)
        )
        found = []
        for identity, letter in index.letters.items():
            note = notes.get(identity)
            state = state_of(letter, note, max_attempts)
            if (not states or state in states) and selection.takes(identity, letter):
                replayed_at = note.replayed_at if note and state == "replayed" else None
                found.append(ListedDeadLetter(identity, letter, state, replayed_at))
        found.sort(key=lambda listed: (listed.letter.failed_at, listed.identity))
        return DeadLetterList(tuple(found), index.unrecognized, index.hidden)

    async def count(
        self, seconds: float, max_attempts: int = MAX_ATTEMPTS
    ) -> DeadLetterCounts | None:
        """How many wait, as far as ``seconds`` of reading go; None: no place for them is known.

        Nothing is read where there are none.

        Raises:
            Unavailable: the dead letters or the journal are away.
        """
        places = await self._reader.approximate_count()
        if not places:
            return DeadLetterCounts() if places == 0 else None
        notes: Mapping[Identity, ReplayNote] = {}
        index = DeadLetterIndex({})
        read = 0
        is_complete = False
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                notes = await self._journal.read()
                async for entry in self._reader.read():
                    index.add(entry)
                    read += 1
                is_complete = True
        waiting: Counter[ErrorCode] = Counter()
        exhausted = 0
        for identity, letter in index.letters.items():
            state = state_of(letter, notes.get(identity), max_attempts)
            waiting[letter.code] += state == "waiting"
            exhausted += state == "exhausted"
        return DeadLetterCounts(+waiting, exhausted, read, places, is_complete)
