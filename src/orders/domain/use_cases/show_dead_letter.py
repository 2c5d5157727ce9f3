"""Shows one dead letter, and how the current rules judge it."""

from datetime import datetime

from msgspec import Struct

from orders.domain.dead_letters.headers import root_of
from orders.domain.dead_letters.index import (
    MAX_ATTEMPTS,
    DeadLetterSummary,
    Progress,
    Reference,
    State,
    read_all,
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
    """The latest attempt of a dead letter.

    ``copies`` is the number of its records. ``code_now`` and ``faults`` result from reading its
    payload by the current rules, and ``orders`` is the number of valid orders in it.
    """

    root: Identity
    dead_letter: DeadLetter
    copies: int
    state: State
    replayed_at: datetime | None
    code_now: ReadingCode | None
    faults: tuple[Fault, ...]
    orders: int


class ShowDeadLetter:
    """Finds a dead letter and reads it again."""

    def __init__(self, reader: DeadLetterReader, journal: ReplayJournal) -> None:
        self._reader = reader
        self._journal = journal

    async def __call__(
        self,
        reference: Reference,
        max_attempts: int = MAX_ATTEMPTS,
        progress: Progress = lambda _done, _total: None,
    ) -> ShownDeadLetter:
        """Return the latest attempt of the dead letter that ``reference`` names.

        Raises:
            NotFound: there is none, or the topic does not exist.
            Invalid: there are several; the text lists some.
            Unavailable: the brokers are unreachable.
        """
        notes = await self._journal.read()
        found: dict[Identity, tuple[list[DeadLetterSummary], dict[_Place, DeadLetter]]] = {}
        async for entry in read_all(self._reader, progress):
            dead_letter = entry.dead_letter
            if dead_letter and reference.names(root := root_of(dead_letter)):
                new = summary_of(entry.place, dead_letter)
                known, contents = found.get(root, ([], {}))
                messages = with_copy(known, new)
                contents = {**contents, new.place: dead_letter}
                found[root] = (messages, {each.place: contents[each.place] for each in messages})
        if not found:
            raise NotFound("there is no such dead letter")
        if len(found) > 1:
            some = ", ".join(map(str, sorted(found)[:_NAMED]))
            raise Invalid(f"{len(found)} dead letters match this reference; the first are {some}")
        [(root, ([summary, *_], dead_letters))] = found.items()
        dead_letter = dead_letters[summary.place]
        note = notes.get(root)
        state = state_of(summary, note, max_attempts)
        reading = read(dead_letter.as_message)
        return ShownDeadLetter(
            root,
            dead_letter,
            summary.copies,
            state,
            note.replayed_at if note and state == "replayed" else None,
            reading.refused[0].code if reading.refused else None,
            tuple(fault for refused in reading.refused for fault in refused.faults),
            len(reading.accepted),
        )
