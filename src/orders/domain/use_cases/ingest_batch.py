"""Take a batch of messages: store what is valid, hand the rest to the dead letters.

In two steps, so that the next batch can be read while the database writes this one: ``prepare`` is
pure computation, ``store`` does the I/O. Only after ``store`` has returned may the batch be
committed: then each of its orders is stored or lies in the dead letters.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice

from msgspec import Struct

from orders.domain.dead_letters.headers import failures_before
from orders.domain.errors import Unavailable
from orders.domain.intake.faults import Fault
from orders.domain.intake.messages import DeadLetter, ErrorCode, Message, Origin
from orders.domain.intake.reading import elements, read
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.ports import Cache, DeadLetters, OrderRepository

DETAIL_MAX_LENGTH = 1000
"""Longest text of a dead letter, in characters; a header is no place for a list of thousands."""

LETTERS_AT_ONCE = 1_000
"""Letters that are put together: each put has a bounded time, and one array of a megabyte may hold
half a million bad elements.
"""


class Candidate(Struct, frozen=True, gc=False):
    """A valid order, and where it came from."""

    order: Order
    message: Message
    index: int
    in_array: bool


class ParsedBatch(Struct, frozen=True):
    """A batch after reading: what to store, in the order it came, and what cannot be stored."""

    candidates: tuple[Candidate, ...]
    letters: tuple[DeadLetter, ...]
    messages: int

    def followed_by(self, later: "ParsedBatch") -> "ParsedBatch":
        """Both as one batch, as if they had been received together."""
        return ParsedBatch(
            self.candidates + later.candidates,
            self.letters + later.letters,
            self.messages + later.messages,
        )


class IngestReport(Struct, frozen=True):
    """What became of a batch, in numbers of orders. ``dead`` counts dead letters by code."""

    messages: int
    saved: int
    unchanged: int
    dead: Mapping[ErrorCode, int]


class IngestBatch:
    """Parses and stores batches; ``cache_capacity`` bounds how many documents it caches."""

    def __init__(
        self,
        repository: OrderRepository,
        dead_letters: DeadLetters,
        cache: Cache,
        cache_capacity: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._repository = repository
        self._dead_letters = dead_letters
        self._cache = cache
        self._cache_capacity = cache_capacity
        self._now = now

    def prepare(self, messages: Sequence[Message]) -> ParsedBatch:
        """Read every message. Pure computation; may run in another thread."""
        candidates: list[Candidate] = []
        letters: list[DeadLetter] = []
        for message in messages:
            reading = read(message.value)
            candidates += [
                Candidate(accepted.order, message, accepted.index, reading.is_array)
                for accepted in reading.accepted
            ]
            for refused in reading.refused:
                value = None if message.value is None else refused.raw
                detail = _detail(refused.faults)
                letters.append(self._letter(message, refused.index, value, refused.code, detail))
        return ParsedBatch(tuple(candidates), tuple(letters), len(messages))

    async def store(
        self, parsed: ParsedBatch, behind: Callable[[], int] = lambda: 0
    ) -> IngestReport:
        """Store and dead-letter what was parsed; doing it again changes nothing.

        Args:
            parsed: the batch.
            behind: how many orders of later batches are in hand by now. As a rule they push as
                many of these out of the cache, which therefore are not put there: of a backlog
                that was a fifteenth of the time.

        Raises:
            Unavailable: the database or the dead letters are unreachable; nothing may be committed.
        """
        outcomes = _Outcomes()
        waiting = parsed.candidates
        while waiting:
            waiting = await self._save_round(waiting, outcomes)
        letters = list(parsed.letters)
        letters += self._not_stored(outcomes)
        for start in range(0, len(letters), LETTERS_AT_ONCE):
            await self._dead_letters.put(letters[start : start + LETTERS_AT_ONCE])
        await self._remember(outcomes.saved, max(0, self._cache_capacity - behind()))
        return IngestReport(
            messages=parsed.messages,
            saved=len(outcomes.saved),
            unchanged=outcomes.unchanged,
            dead=Counter(letter.code for letter in letters),
        )

    async def _save_round(
        self, waiting: Sequence[Candidate], outcomes: "_Outcomes"
    ) -> tuple[Candidate, ...]:
        """Save the first candidate of each order_uid; judge those after it by what became of it.

        Returns those that nothing can be said of yet: their uid's first one was not stored, so
        each of them is still to be held against the store.
        """
        first: dict[str, Candidate] = {}
        for candidate in waiting:
            first.setdefault(candidate.order.order_uid, candidate)
        report = await self._repository.save_many([c.order for c in first.values()])
        outcomes.unchanged += len(report.unchanged)
        if report.saved:
            outcomes.saved += [c.order for uid, c in first.items() if uid in report.saved]
        undecided: list[Candidate] = []
        for candidate in waiting:
            uid = candidate.order.order_uid
            same = candidate.order == first[uid].order
            if uid in report.saved or uid in report.unchanged:
                outcomes.unchanged += same and candidate is not first[uid]
                if not same:
                    outcomes.conflict(candidate)
            elif not same:
                undecided.append(candidate)
            elif uid in report.conflicts:
                outcomes.conflict(candidate)
            else:
                outcomes.dead.append((candidate, "rejected", report.rejected[uid]))
        return tuple(undecided)

    async def _remember(self, saved: Sequence[Order], most: int) -> None:
        newest = islice(reversed(saved), most)
        documents = {order.order_uid: encode(order) for order in newest}
        if not documents:
            return
        with suppress(Unavailable):  # the orders are stored; a read will find them
            await self._cache.put(dict(reversed(documents.items())))

    def _not_stored(self, outcomes: "_Outcomes") -> Iterator[DeadLetter]:
        split: dict[Origin, list[bytes]] = {}  # each message once: splitting reads all of it
        for candidate, code, reason in outcomes.dead:
            message, index = candidate.message, candidate.index
            if message.origin not in split:
                split[message.origin] = elements(message.value or b"")
            path = (index,) if candidate.in_array else ()
            value = split[message.origin][index]
            yield self._letter(message, index, value, code, _detail([Fault(path, reason)]))

    def _letter(
        self, message: Message, index: int, value: bytes | None, code: ErrorCode, detail: str
    ) -> DeadLetter:
        attempt = failures_before(message.headers) + 1
        return DeadLetter(message, index, value, code, detail, self._now(), attempt)


class _Outcomes:
    """What is known so far of a batch."""

    def __init__(self) -> None:
        self.saved: list[Order] = []
        self.unchanged = 0
        self.dead: list[tuple[Candidate, ErrorCode, str]] = []

    def conflict(self, candidate: Candidate) -> None:
        reason = "another order with this order_uid is stored, with other content"
        self.dead.append((candidate, "conflict", reason))


def _detail(faults: Iterable[Fault]) -> str:
    text = "; ".join(map(str, faults))
    return text if len(text) <= DETAIL_MAX_LENGTH else text[: DETAIL_MAX_LENGTH - 1] + "…"
