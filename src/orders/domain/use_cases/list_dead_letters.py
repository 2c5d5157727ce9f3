"""Say which dead letters there are, and what has become of each."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from msgspec import Struct

from orders.domain.intake.messages import ErrorCode, Identity
from orders.domain.letter_index import (
    MAX_ATTEMPTS,
    LetterIndex,
    LetterSummary,
    Progress,
    Selection,
    State,
    index_letters,
    state_of,
)
from orders.domain.ports import DeadLetterReader, ReplayJournal, Replays


class ListedLetter(Struct, frozen=True, gc=False):
    """A letter in a list; ``replayed_at`` is when it was last sent again."""

    identity: Identity
    letter: LetterSummary
    state: State
    replayed_at: datetime | None


class LetterList(Struct, frozen=True):
    """What was asked for, in the order of the failures, and what else there is to know.

    ``strangers`` are messages among the dead letters that are none of ours. ``is_cut_off``: a
    replay was, and some letters may have been sent again that do not say so yet. ``hidden`` counts
    letters whose identity a newer message has, of a topic that was made anew.
    """

    letters: tuple[ListedLetter, ...]
    strangers: int
    is_cut_off: bool
    hidden: int = 0

    @property
    def by_code(self) -> Mapping[ErrorCode, int]:
        """How many letters of each code."""
        return Counter(listed.letter.code for listed in self.letters)

    @property
    def by_state(self) -> Mapping[State, int]:
        """How many letters in each state."""
        return Counter(listed.state for listed in self.letters)


class LetterCounts(Struct, frozen=True):
    """How many letters of each code ``waiting`` for somebody there are, and how many ``given_up``.

    ``read`` of about ``places`` messages were looked at; not ``is_complete``: there are more.
    """

    waiting: Mapping[ErrorCode, int] = {}
    given_up: int = 0
    read: int = 0
    places: int = 0
    is_complete: bool = True


class ListDeadLetters:
    """The use case."""

    def __init__(self, reader: DeadLetterReader, journal: ReplayJournal) -> None:
        self._reader = reader
        self._journal = journal

    async def __call__(
        self,
        selection: Selection = Selection(),  # noqa: B008 (immutable)
        states: frozenset[State] = frozenset(),
        max_attempts: int = MAX_ATTEMPTS,
        progress: Progress = lambda _done, _total: None,
    ) -> LetterList:
        """The letters that ``selection`` takes, each once; with ``states`` only those in them.

        Raises:
            NotFound: there is no topic of them.
            Unavailable: the dead letters or the journal are away.
        """
        replays = await self._journal.read()
        index = await index_letters(self._reader, progress)
        found = []
        for identity, letter in index.letters.items():
            state = state_of(identity, letter, replays, max_attempts)
            if (not states or state in states) and selection.takes(identity, letter):
                replayed_at = replays.replayed.get(identity) if state == "replayed" else None
                found.append(ListedLetter(identity, letter, state, replayed_at))
        found.sort(key=lambda listed: (listed.letter.failed_at, listed.identity))
        hidden = sum(map(len, index.earlier.values()))
        return LetterList(tuple(found), index.strangers, replays.unfinished is not None, hidden)

    async def count(self, seconds: float, max_attempts: int = MAX_ATTEMPTS) -> LetterCounts | None:
        """How many wait, as far as ``seconds`` of reading go; None: no place for them is known.

        Nothing is read where there are none.

        Raises:
            Unavailable: the dead letters or the journal are away.
        """
        places = await self._reader.places()
        if not places:
            return LetterCounts() if places == 0 else None
        replays = Replays({})
        index = LetterIndex({})
        read = 0
        is_complete = False
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                replays = await self._journal.read()
                async for entry in self._reader.read():
                    index.add(entry)
                    read += 1
                is_complete = True
        waiting: Counter[ErrorCode] = Counter()
        given_up = 0
        for identity, letter in index.letters.items():
            state = state_of(identity, letter, replays, max_attempts)
            waiting[letter.code] += state == "waiting"
            given_up += state == "given-up"
        return LetterCounts(+waiting, given_up, read, places, is_complete)
