"""Send dead letters' messages again, each once, whatever happens in between.

Sending a message and noting it are two steps, and the process may die between them. So before
anything is sent, it is noted from where on to look for it (``Run.mark``); whoever comes next looks
there first, notes what did arrive, and goes on with the rest.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from orders.domain.intake.messages import DeadLetter, ErrorCode, Identity
from orders.domain.letter_index import (
    MAX_ATTEMPTS,
    LetterIndex,
    LetterSummary,
    Reference,
    Selection,
    amount_in,
    index_letters,
    state_of,
)
from orders.domain.ports import DeadLetterReader, ReplayJournal, Replays, ReplayTarget, Run

CHUNK_LETTERS = 500
"""Most letters that are sent before they are noted."""
CHUNK_BYTES = 4 * 1024 * 1024
"""Bytes that a chunk comes to at most, unless one letter is larger."""
MARK_EVERY = 20
"""Chunks after which a new mark is taken: a run that is cut off need not look far back."""

Phase = Literal["catching up", "reading", "sending"]


class Wish(Struct, frozen=True, kw_only=True):
    """What somebody wants replayed. ``again``: also what was before; ``dry_run``: say what only."""

    selection: Selection = Selection()
    again: bool = False
    max_attempts: int = MAX_ATTEMPTS
    dry_run: bool = False


class ReplayReport(Struct):
    """What became of a wish.

    ``sent`` by code, or in a dry run what would be; ``caught_up`` counts letters of a run before
    that was cut off, found sent. ``given_up``, ``foreign`` (of another topic) and ``too_large``
    were selected and left alone, and so were ``already`` letters that were replayed before, and
    ``superseded`` ones of which another letter has come, which goes on for them. ``left`` counts
    those that were not come to: it was asked to stop, or somebody has deleted them meanwhile.
    ``unknown`` are references that name no letter.
    """

    sent: Counter[ErrorCode]
    given_up: list[Identity]
    foreign: list[Identity]
    too_large: list[Identity]
    unknown: tuple[Reference, ...] = ()
    already: int = 0
    superseded: int = 0
    strangers: int = 0
    caught_up: int = 0
    left: int = 0
    is_stopped: bool = False


Progress = Callable[[Phase, int, int], None]
"""Told what it is doing, and how much of how much is done; 0 for as much as there is."""


class ReplayDeadLetters:
    """The use case."""

    def __init__(
        self,
        reader: DeadLetterReader,
        journal: ReplayJournal,
        target: ReplayTarget,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._reader = reader
        self._journal = journal
        self._target = target
        self._now = now

    async def __call__(
        self,
        wish: Wish,
        progress: Progress = lambda _phase, _done, _total: None,
        wants_stop: Callable[[], bool] = lambda: False,
    ) -> ReplayReport:
        """Replay what is wished for; ``wants_stop`` is asked before each chunk.

        After any error it can be called again: it goes on where it was.

        Raises:
            NotFound: there is no topic of dead letters.
            ReplayInProgress: somebody else is at it.
            Unavailable: the brokers are away; part of it may have been sent.
        """
        replay = _Replay(
            self._reader,
            self._journal,
            self._target,
            now=self._now,
            wish=wish,
            progress=progress,
        )
        if wish.dry_run:
            await replay.prepare()
        else:
            await amount_in(self._reader)  # before anything is made for a topic that is not there
            async with self._journal.hold():
                await replay.prepare()
                await replay.send(wants_stop)
        return replay.report


class _Replay:
    """One run."""

    def __init__(
        self,
        reader: DeadLetterReader,
        journal: ReplayJournal,
        target: ReplayTarget,
        *,
        now: Callable[[], datetime],
        wish: Wish,
        progress: Progress,
    ) -> None:
        self._reader = reader
        self._journal = journal
        self._target = target
        self._now = now
        self._wish = wish
        self._progress = progress
        self._started_at = now()
        self._goes_on = False
        self._is_begun = False
        self._wanted: set[tuple[int, int]] = set()
        self.report = ReplayReport(Counter(), [], [], [])

    async def prepare(self) -> None:
        """Find out what is to be sent, after what a run before may have left unsaid."""
        replays = await self._journal.read()
        index = await index_letters(
            self._reader, lambda done, total: self._progress("reading", done, total)
        )
        if replays.unfinished:
            replays = await self._caught_up(replays.replayed, replays.unfinished, index)
        self.report.strangers = index.strangers
        self.report.unknown = tuple(
            reference
            for reference in self._wish.selection.references
            if not any(map(reference.names, index.letters))
        )
        for identity in sorted(index.letters):
            letter = index.letters[identity]
            if self._wish.selection.takes(identity, letter):
                self._sort(identity, letter, replays, index)
        self.report.left = len(self._wanted)

    async def _caught_up(
        self, replayed: Mapping[Identity, datetime], run: Run, index: LetterIndex
    ) -> Replays:
        """What was replayed, with what the run before sent and did not come to note."""
        self._is_begun = True
        if run.again and self._wish.again:
            self._goes_on = True
            self._started_at = run.started_at
        new: set[Identity] = set()
        async for identity in self._target.replayed_since(run.mark):
            if identity not in replayed or replayed[identity] < run.started_at:
                new.add(identity)
                self._progress("catching up", len(new), 0)
        self.report.caught_up = len(new)
        at = self._time(index.letters[n].failed_at for n in new if n in index.letters)
        if new and not self._wish.dry_run:
            await self._journal.note(sorted(new), at)
        return Replays({**replayed, **dict.fromkeys(new, at)})

    def _sort(
        self, identity: Identity, letter: LetterSummary, replays: Replays, index: LetterIndex
    ) -> None:
        state = state_of(identity, letter, replays, self._wish.max_attempts)
        if state == "replayed" and not self._may_be_sent_again(replays.replayed[identity]):
            self.report.already += 1
        elif state == "replayed" and index.is_superseded(identity):
            self.report.superseded += 1
        elif letter.attempt >= self._wish.max_attempts:
            self.report.given_up.append(identity)
        elif identity.origin.topic != self._target.topic:
            self.report.foreign.append(identity)
        else:
            self._wanted.add(letter.place)
            if self._wish.dry_run:
                self.report.sent[letter.code] += 1

    def _may_be_sent_again(self, replayed_at: datetime) -> bool:
        """A run that goes on leaves alone what it sent before it was cut off."""
        return self._wish.again and not (self._goes_on and replayed_at >= self._started_at)

    async def send(self, wants_stop: Callable[[], bool]) -> None:
        """Send what was found, chunk by chunk, each noted before the next."""
        total = len(self._wanted)
        run = Run(self._started_at, {}, self._wish.again)
        number = 0
        if total:
            self._progress("sending", 0, total)
        async for chunk in self._letters():
            if wants_stop():
                self.report.is_stopped = True
                break
            if number % MARK_EVERY == 0:
                run = Run(self._started_at, await self._target.mark(), self._wish.again)
            number += 1
            await self._journal.begin(run)
            self._is_begun = True
            await self._send_chunk(chunk)
            self._progress("sending", total - self.report.left, total)
        # What --again has come to is not forgotten by a stop; else all that was sent is noted.
        if self._is_begun and not (self.report.is_stopped and self._wish.again):
            await self._journal.finish()

    async def _send_chunk(self, chunk: Sequence[DeadLetter]) -> None:
        too_large = await self._target.send(chunk)
        sent = [letter for letter in chunk if letter.identity not in too_large]
        if sent:
            at = self._time(letter.failed_at for letter in sent)
            await self._journal.note([letter.identity for letter in sent], at)
        self.report.too_large += sorted(too_large)
        self.report.sent.update(letter.code for letter in sent)
        self.report.left -= len(chunk)

    def _time(self, failures: Iterable[datetime]) -> datetime:
        """Now, but never before the run began, or what is replayed failed.

        Other machines' clocks may have told these.
        """
        return max(self._now(), self._started_at, *failures)

    async def _letters(self) -> AsyncIterator[list[DeadLetter]]:
        """What is wanted, read a second time, so that only a chunk of it is in memory at once."""
        chunk: list[DeadLetter] = []
        size = 0
        if not self._wanted:
            return  # no need to read
        async for entry in self._reader.read():
            letter = entry.letter
            if letter is None or entry.place not in self._wanted:
                continue
            length = len(letter.value or b"")
            if chunk and (len(chunk) == CHUNK_LETTERS or size + length > CHUNK_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append(letter)
            size += length
        if chunk:
            yield chunk
