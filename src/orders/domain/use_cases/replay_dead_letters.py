"""Replays dead letters at least once.

A message is sent first and noted in the journal afterwards. If the process dies in between, the
next replay sends it again, which is harmless: a valid order is stored already, and a message that
fails again has the same root, so it is the same dead letter with a higher attempt.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct, field

from orders.domain.dead_letters.headers import as_settled, root_of
from orders.domain.dead_letters.index import (
    MAX_ATTEMPTS,
    DeadLetterIndex,
    DeadLetterSummary,
    Reference,
    Selection,
    index_dead_letters,
    state_of,
)
from orders.domain.intake.messages import DeadLetter, ErrorCode, Identity
from orders.domain.ports import DeadLetterReader, Places, ReplayJournal, ReplayNote, ReplayTarget

CHUNK_RECORDS = 500
"""The most dead letters that are sent before they are noted."""
CHUNK_BYTES = 4 * 1024 * 1024
"""The size of a chunk in bytes at most, unless a single dead letter is larger."""
FAILING_CODES: frozenset[ErrorCode] = frozenset({"undecodable", "empty"})
"""Codes that fail again under any rules, and are replayed only if named."""

Phase = Literal["reading", "sending"]


class ReplayRequest(Struct, frozen=True, kw_only=True):
    """What to replay. ``dry_run``: only report what would be sent."""

    selection: Selection = Selection()
    include_replayed: bool = False
    max_attempts: int = MAX_ATTEMPTS
    dry_run: bool = False

    def names(self, code: ErrorCode) -> bool:
        """Whether dead letters of this code are named, by code or by reference."""
        return code in self.selection.codes or bool(self.selection.references)


class ReplayReport(Struct):
    """The result of a replay.

    ``sent`` by code, or in a dry run what would be sent. Selected but not sent: ``exhausted``,
    ``foreign`` (of another topic) and ``too_large`` ones, ``omitted`` ones whose content was not
    kept, ``skipped`` ones that were replayed before, and ``unnamed`` ones by code, which would fail
    again. ``remaining`` counts those that were not reached, because of a stop or because they were
    deleted in the meantime. ``unknown`` are references to no dead letter.
    """

    sent: Counter[ErrorCode] = field(default_factory=Counter)
    exhausted: list[Identity] = []
    foreign: list[Identity] = []
    omitted: list[Identity] = []
    too_large: list[Identity] = []
    unknown: tuple[Reference, ...] = ()
    unnamed: Counter[ErrorCode] = field(default_factory=Counter)
    skipped: int = 0
    unrecognized: int = 0
    remaining: int = 0
    is_stopped: bool = False


Progress = Callable[[Phase, int, int], None]
"""Called with the phase, the number of records done, and the total."""


class ReplayDeadLetters:
    """Sends selected dead letters to their topic and notes them in the journal."""

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
        request: ReplayRequest,
        progress: Progress = lambda _phase, _done, _total: None,
        wants_stop: Callable[[], bool] = lambda: False,
        on_sent: Callable[[Sequence[DeadLetter]], None] = lambda _: None,
    ) -> ReplayReport:
        """Replay what is requested; ``wants_stop`` is called before each chunk, ``on_sent`` after.

        After an error it can be called again, and sends what is not noted yet.

        Raises:
            NotFound: the topic of dead letters does not exist.
            Unavailable: the brokers are unreachable; some may have been sent.
        """
        report = ReplayReport()
        index, wanted = await self._choose(request, report, progress)
        total = report.remaining = len(wanted)
        if request.dry_run or not total:
            return report
        progress("sending", 0, total)
        async for chunk in self._chunks(index, wanted):
            if wants_stop():
                report.is_stopped = True
                break
            await self._send(chunk, report, on_sent)
            progress("sending", total - report.remaining, total)
        return report

    async def _choose(
        self, request: ReplayRequest, report: ReplayReport, progress: Progress
    ) -> tuple[DeadLetterIndex, Places]:
        """Return the index, and where the records to send are."""
        index = await index_dead_letters(
            self._reader, self._journal, lambda done, total: progress("reading", done, total)
        )
        report.unrecognized = index.unrecognized
        report.unknown = tuple(
            reference
            for reference in request.selection.references
            if not any(map(reference.names, index.dead_letters))
        )

        def wanted() -> Iterator[tuple[int, int]]:
            for root in sorted(index.dead_letters):
                dead_letter = index.dead_letters[root]
                if request.selection.takes(root, dead_letter) and self._is_wanted(
                    root, dead_letter, index.notes.get(root), request, report
                ):
                    yield dead_letter.place
                    if request.dry_run:
                        report.sent[dead_letter.code] += 1

        return index, Places(wanted())

    def _is_wanted(
        self,
        root: Identity,
        dead_letter: DeadLetterSummary,
        note: ReplayNote | None,
        request: ReplayRequest,
        report: ReplayReport,
    ) -> bool:
        state = state_of(dead_letter, note, request.max_attempts)
        if dead_letter.omitted:
            report.omitted.append(root)
        elif state == "replayed" and not request.include_replayed:
            report.skipped += 1
        elif dead_letter.attempt >= request.max_attempts:
            report.exhausted.append(root)
        elif root.origin.topic != self._target.topic:
            report.foreign.append(root)
        elif dead_letter.code in FAILING_CODES and not request.names(dead_letter.code):
            report.unnamed[dead_letter.code] += 1
        else:
            return True
        return False

    async def _send(
        self,
        chunk: Sequence[DeadLetter],
        report: ReplayReport,
        on_sent: Callable[[Sequence[DeadLetter]], None],
    ) -> None:
        too_large = await self._target.send(chunk)
        sent = [dead_letter for dead_letter in chunk if dead_letter not in too_large]
        if sent:
            on_sent(sent)  # they are, even if the note fails
            # Not before the failure, whose time is from the clock of another machine.
            at = max(self._now(), *(dead_letter.failed_at for dead_letter in sent))
            await self._journal.note({root_of(one): ReplayNote(at, one.attempt) for one in sent})
        report.too_large += sorted(map(root_of, too_large))
        report.sent.update(dead_letter.code for dead_letter in sent)
        report.remaining -= len(chunk)

    async def _chunks(
        self, index: DeadLetterIndex, wanted: Places
    ) -> AsyncIterator[list[DeadLetter]]:
        """Read the topic again and yield chunks, so that only one chunk is in memory."""
        chunk: list[DeadLetter] = []
        size = 0
        async for entry in self._reader.read(wanted):
            dead_letter, root = entry.dead_letter, index.root_at(entry)
            if dead_letter is None or root is None:
                continue
            length = dead_letter.size
            if chunk and (len(chunk) == CHUNK_RECORDS or size + length > CHUNK_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append(as_settled(dead_letter, root, index.dead_letters[root].attempt))
            size += length
        if chunk:
            yield chunk
