"""Stores the valid orders of a batch of messages; the rest become dead letters.

This takes two steps, so that one batch can be parsed while another is being stored: ``prepare`` is
pure computation, ``store`` does the I/O. The batch may be committed only after ``store`` has
returned: then each of its orders is stored or is a dead letter.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from orders.domain.dead_letters.forgotten import without_forgotten
from orders.domain.dead_letters.headers import failures_before
from orders.domain.errors import Unavailable
from orders.domain.intake.faults import Fault
from orders.domain.intake.messages import (
    MAX_MESSAGE_BYTES,
    DeadLetter,
    ErrorCode,
    Message,
    Origin,
    Unread,
)
from orders.domain.intake.reading import Reading, elements, read, refused_as_one
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.ports import Cache, DeadLetters, Erasure, OrderRepository

CONFLICT = "another order with this order_uid is stored, with other content"
"""The reason of a conflict."""

DETAIL_MAX_LENGTH = 1000
"""The longest detail of a dead letter, in characters."""

DETAIL_MAX_FAULTS = 64
"""Faults that are looked for in an order: more than fit into the detail of its dead letter."""

DEAD_LETTER_CHUNK = 1_000
"""Dead letters per ``put``, whose time is limited; a batch may have tens of thousands of them."""

MAX_REPEATED_BYTES = MAX_MESSAGE_BYTES
"""The most bytes that keys and headers of the dead letters of one array may have, if all of its
elements become dead letters: each has the key and all headers of the message."""


class Candidate(Struct, frozen=True, gc=False):
    """A valid order and its source; ``raw`` as of ``Accepted``."""

    order: Order
    message: Message
    index: int
    in_array: bool
    raw: bytes = b""


class ParsedBatch(Struct, frozen=True):
    """A batch after reading: the orders to store, in their order, and the dead letters."""

    candidates: tuple[Candidate, ...]
    dead_letters: tuple[DeadLetter, ...]
    messages: int

    def followed_by(self, later: "ParsedBatch") -> "ParsedBatch":
        """Return both as one batch, as if they had been received together."""
        return ParsedBatch(
            self.candidates + later.candidates,
            self.dead_letters + later.dead_letters,
            self.messages + later.messages,
        )


class IngestReport(Struct, frozen=True):
    """The result of a batch in numbers of orders; ``dead`` counts dead letters by code.

    ``forgotten`` were deleted on request before: they are neither stored nor dead letters.
    """

    messages: int
    saved: int
    unchanged: int
    dead: Mapping[ErrorCode, int]
    forgotten: int = 0


class IngestBatch:
    """Parses and stores batches; ``cache_capacity`` bounds how many documents it caches."""

    def __init__(
        self,
        repository: OrderRepository,
        dead_letters: DeadLetters,
        cache: Cache,
        cache_capacity: int,
        *,
        erasure: Erasure,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._repository = repository
        self._dead_letters = dead_letters
        self._cache = cache
        self._cache_capacity = cache_capacity
        self._erasure = erasure
        self._now = now

    def prepare(self, messages: Sequence[Message]) -> ParsedBatch:
        """Parse the messages. Pure computation, which may run in another thread."""
        candidates: list[Candidate] = []
        dead_letters: list[DeadLetter] = []
        for message in messages:
            if message.unread:
                dead_letters.append(self._unread(message, message.unread))
                continue
            reading = read(message.value, of_one=DETAIL_MAX_FAULTS)
            if reading.is_array and _repeated_bytes(message, reading) > MAX_REPEATED_BYTES:
                rule = "must not have so many elements with headers and a key of this size"
                reading = refused_as_one(message.value or b"", rule)
            candidates += [
                Candidate(accepted.order, message, accepted.index, reading.is_array, accepted.raw)
                for accepted in reading.accepted
            ]
            for refused in reading.refused:
                value = None if message.value is None else refused.raw
                detail = describe(refused.faults)
                dead_letters.append(
                    self._dead_letter(message, refused.index, value, refused.code, detail)
                )
        return ParsedBatch(tuple(candidates), tuple(dead_letters), len(messages))

    async def store(
        self, parsed: ParsedBatch, behind: Callable[[], int] = lambda: 0
    ) -> IngestReport:
        """Store the orders and the dead letters of a batch; repeating this changes nothing.

        Args:
            parsed: the batch.
            behind: the number of orders in later batches that are in flight. They would evict as
                many of these from the cache, so these are not put there.

        Raises:
            Unavailable: the database or the brokers are down; the batch must not be committed.
        """
        outcomes = _Outcomes()
        as_of = self._cache.position
        waiting = parsed.candidates
        while waiting:
            waiting = await self._save_round(waiting, outcomes)
        dead: Counter[ErrorCode] = Counter()
        for chunk in _chunks(parsed.dead_letters):
            # They would be kept for as long as the topic of dead letters is.
            remembered = await without_forgotten(chunk, self._erasure)
            outcomes.forgotten += len(chunk) - len(remembered)
            await self._put(remembered, dead)
        for chunk in _chunks(tuple(self._not_stored(outcomes))):
            await self._put(chunk, dead)
        most = max(0, self._cache_capacity - behind())
        await self._cache_newest(outcomes.saved, most, as_of)
        return IngestReport(
            messages=parsed.messages,
            saved=len(outcomes.saved),
            unchanged=outcomes.unchanged,
            dead=dead,
            forgotten=outcomes.forgotten,
        )

    async def _put(self, dead_letters: Sequence[DeadLetter], dead: Counter[ErrorCode]) -> None:
        if dead_letters:
            await self._dead_letters.put(dead_letters)
            dead.update(dead_letter.code for dead_letter in dead_letters)

    async def _save_round(
        self, waiting: Sequence[Candidate], outcomes: "_Outcomes"
    ) -> tuple[Candidate, ...]:
        """Save the first candidate of each order_uid, and judge the others by what is stored then.

        Returns those that are still undecided, because no order with their order_uid is.
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
            if uid in report.forgotten:
                outcomes.forgotten += 1
            elif uid in report.saved or uid in report.unchanged:
                outcomes.unchanged += same and candidate is not first[uid]
                if not same:
                    outcomes.conflict(candidate)
            elif not same:
                undecided.append(candidate)
            elif uid in report.conflicts:
                outcomes.conflict(candidate)
            else:
                outcomes.dead.append((candidate, "rejected", report.rejected[uid]))
        return await self._compare(undecided, outcomes) if undecided else ()

    async def _compare(
        self, candidates: Sequence[Candidate], outcomes: "_Outcomes"
    ) -> tuple[Candidate, ...]:
        """Compare all with what is stored; returns those that nothing is stored for.

        A round for each of the versions of an order would take as many transactions.
        """
        undecided: list[Candidate] = []
        are_stored = await self._repository.are_stored([c.order for c in candidates])
        for candidate, is_stored in zip(candidates, are_stored, strict=True):
            if is_stored is None:
                undecided.append(candidate)
            elif is_stored:
                outcomes.unchanged += 1
            else:
                outcomes.conflict(candidate)
        return tuple(undecided)

    async def _cache_newest(self, saved: Sequence[Order], most: int, as_of: int) -> None:
        newest = islice(reversed(saved), most)
        documents = {order.order_uid: encode(order) for order in newest}
        if not documents:
            return
        with suppress(Unavailable):  # the orders are stored anyway
            await self._cache.put(dict(reversed(documents.items())), as_of)

    def _not_stored(self, outcomes: "_Outcomes") -> Iterator[DeadLetter]:
        split: dict[Origin, list[bytes]] = {}  # each message is split once
        for candidate, code, reason in outcomes.dead:
            message, index = candidate.message, candidate.index
            path: tuple[int, ...] = ()
            value = message.value or b""
            if candidate.in_array:
                if not candidate.raw and message.origin not in split:
                    split[message.origin] = elements(value)
                value, path = candidate.raw or split[message.origin][index], (index,)
            yield self._dead_letter(message, index, value, code, describe([Fault(path, reason)]))

    def _unread(self, message: Message, unread: Unread) -> DeadLetter:
        detail = describe([Fault((), unread.rule)])
        if unread.messages > 1:
            last = message.origin.offset + unread.messages - 1
            detail += f"; this stands for {unread.messages} messages, up to offset {last}"
        made = self._dead_letter(message, 0, None, unread.code, detail)
        return replace(made, omitted=unread.messages)

    def _dead_letter(
        self, message: Message, index: int, value: bytes | None, code: ErrorCode, detail: str
    ) -> DeadLetter:
        attempt = failures_before(message.headers) + 1
        return DeadLetter(message, index, value, code, detail, self._now(), attempt)


def _repeated_bytes(message: Message, array: Reading) -> int:
    """Return the size of key and headers of the dead letters that all elements would be."""
    size = message.size - len(message.value or b"")
    return size * (len(array.accepted) + len(array.refused))


def _chunks(dead_letters: Sequence[DeadLetter]) -> Iterator[Sequence[DeadLetter]]:
    for start in range(0, len(dead_letters), DEAD_LETTER_CHUNK):
        yield dead_letters[start : start + DEAD_LETTER_CHUNK]


class _Outcomes:
    """The outcomes of a batch so far."""

    def __init__(self) -> None:
        self.saved: list[Order] = []
        self.unchanged = 0
        self.forgotten = 0
        self.dead: list[tuple[Candidate, ErrorCode, str]] = []

    def conflict(self, candidate: Candidate) -> None:
        self.dead.append((candidate, "conflict", CONFLICT))


def describe(faults: Iterable[Fault]) -> str:
    """Return the faults as text for people, of bounded length."""
    text = "; ".join(map(str, faults))
    return text if len(text) <= DETAIL_MAX_LENGTH else text[: DETAIL_MAX_LENGTH - 1] + "…"
