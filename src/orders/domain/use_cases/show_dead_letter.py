"""Everything about one dead letter, as today's rules see it."""

from datetime import datetime

from msgspec import Struct

from orders.domain.dead_letters.headers import root_of
from orders.domain.dead_letters.index import (
    MAX_ATTEMPTS,
    DeadLetterSummary,
    Progress,
    Reference,
    State,
    approximate_count,
    state_of,
    summary_of,
    with_copy,
)
from orders.domain.errors import Invalid, NotFound
from orders.domain.intake.faults import Fault
from orders.domain.intake.messages import DeadLetter, Identity
from orders.domain.intake.reading import ReadingCode, read
from orders.domain.ports import DeadLetterReader, ReplayJournal

_NAMED = 5

_Place = tuple[int, int]


class ShownDeadLetter(Struct, frozen=True):
    """One dead letter, as its highest attempt.

    ``copies`` says how often that is written. ``code_now`` and ``faults`` are what reading its
    bytes says today; ``orders`` how many valid orders they hold: one, without any faults, is a dead
    letter that would be stored if nothing but the rules had stood against it.
    """

    root: Identity
    letter: DeadLetter
    copies: int
    state: State
    replayed_at: datetime | None
    code_now: ReadingCode | None
    faults: tuple[Fault, ...]
    orders: int


class ShowDeadLetter:
    """Shows one dead letter, with its faults and masked content."""

    def __init__(self, reader: DeadLetterReader, journal: ReplayJournal) -> None:
        self._reader = reader
        self._journal = journal

    async def __call__(
        self,
        reference: Reference,
        max_attempts: int = MAX_ATTEMPTS,
        progress: Progress = lambda _done, _total: None,
    ) -> ShownDeadLetter:
        """The dead letter that ``reference`` names, its highest attempt.

        Raises:
            NotFound: there is none, or no topic of them.
            Invalid: there are several; the text names some.
            Unavailable: the dead letters or the journal are away.
        """
        notes = await self._journal.read()
        found: dict[Identity, tuple[list[DeadLetterSummary], dict[_Place, DeadLetter]]] = {}
        total = await approximate_count(self._reader)
        done = 0
        async for entry in self._reader.read():
            done += 1
            progress(done, max(done, total))
            letter = entry.letter
            if letter and reference.names(root := root_of(letter)):
                new = summary_of(entry.place, letter)
                known, kept = found.get(root, ([], {}))
                messages = with_copy(known, new)
                kept = {**kept, new.place: letter}
                found[root] = (messages, {each.place: kept[each.place] for each in messages})
        if not found:
            raise NotFound("there is no such dead letter")
        if len(found) > 1:
            some = ", ".join(map(str, sorted(found)[:_NAMED]))
            raise Invalid(f"{len(found)} dead letters match this reference; the first are {some}")
        [(root, ([summary, *_], letters))] = found.items()
        letter = letters[summary.place]
        note = notes.get(root)
        state = state_of(summary, note, max_attempts)
        reading = read(letter.as_message)
        return ShownDeadLetter(
            root,
            letter,
            summary.copies,
            state,
            note.replayed_at if note and state == "replayed" else None,
            reading.refused[0].code if reading.refused else None,
            tuple(fault for refused in reading.refused for fault in refused.faults),
            len(reading.accepted),
        )
