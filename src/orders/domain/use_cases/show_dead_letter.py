"""Shows one dead letter, and how the current rules judge it."""

from datetime import datetime

from msgspec import Struct

from orders.domain.dead_letters.headers import as_settled
from orders.domain.dead_letters.index import (
    MAX_ATTEMPTS,
    Progress,
    Reference,
    State,
    index_dead_letters,
    state_of,
)
from orders.domain.errors import Invalid, NotFound
from orders.domain.intake.faults import Fault
from orders.domain.intake.messages import DeadLetter, Identity
from orders.domain.intake.reading import Reading, ReadingCode, read
from orders.domain.ports import DeadLetterReader, Places, ReplayJournal

_NAMED = 5


class ShownDeadLetter(Struct, frozen=True):
    """The latest attempt of a dead letter.

    ``copies`` is the number of its records. ``code_now`` and ``faults`` result from reading its
    payload by the current rules, if it was kept, and ``orders`` is the number of valid orders in
    it.
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
        index = await index_dead_letters(self._reader, self._journal, progress)
        found = [root for root in index.dead_letters if reference.names(root)]
        if not found:
            raise NotFound("there is no such dead letter")
        if len(found) > 1:
            some = ", ".join(map(str, sorted(found)[:_NAMED]))
            raise Invalid(f"{len(found)} dead letters match this reference; the first are {some}")
        [root] = found
        summary, note = index.dead_letters[root], index.notes.get(root)
        state = state_of(summary, note, max_attempts)
        dead_letter = as_settled(await self._read(summary.place), root, summary.attempt)
        reading = Reading() if dead_letter.omitted else read(dead_letter.as_message)
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

    async def _read(self, place: tuple[int, int]) -> DeadLetter:
        found = [entry.dead_letter async for entry in self._reader.read(Places([place]))]
        if found and found[0]:
            return found[0]
        raise NotFound("the dead letter was deleted in the meantime")
