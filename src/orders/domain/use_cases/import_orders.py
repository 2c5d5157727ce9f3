"""Imports orders from a source: sends them to the topic, or stores them directly."""

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct, field

from orders.domain.errors import TooLarge
from orders.domain.intake.faults import Fault
from orders.domain.intake.reading import read
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.ports import OrderRepository, OrderSource, Publisher, SourceEntry
from orders.domain.use_cases.ingest_batch import CONFLICT, DETAIL_MAX_FAULTS, describe
from orders.domain.use_cases.stopping import has_ended


class RefusedOrder(Struct, frozen=True):
    """An entry that was not imported: ``raw`` is the original, ``reason`` has no value of it."""

    position: str
    code: str
    reason: str
    raw: bytes


class ImportReport(Struct, frozen=True):
    """How many orders had which outcome; ``refused`` counts those with faults by code.

    ``sent`` are those on the topic: the consumer decides about them. ``forgotten`` were deleted on
    request before, and are not stored again.
    """

    sent: int = 0
    stored: int = 0
    unchanged: int = 0
    forgotten: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    is_stopped: bool = False

    @property
    def entries(self) -> int:
        """The number of entries so far."""
        taken = self.sent + self.stored + self.unchanged + self.forgotten
        return taken + sum(self.refused.values())


class Outcome(Struct, frozen=True):
    """The outcome of some orders; ``refused`` has a code and a reason by order_uid."""

    sent: int = 0
    stored: int = 0
    unchanged: int = 0
    forgotten: int = 0
    refused: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class Delivery(Protocol):
    """Delivers orders, no two with the same order_uid."""

    @abstractmethod
    async def __call__(self, orders: Sequence[Order]) -> Outcome:
        """Deliver a batch; repeating this changes nothing. Raises Unavailable."""


class SendToTopic(Delivery):
    """Sends orders to the topic, from which the consumer stores them."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def __call__(self, orders: Sequence[Order]) -> Outcome:
        """See ``Delivery``; halves a batch until the orders that are too large are found."""
        try:
            await self._publisher.publish(orders)
        except TooLarge as error:
            if len(orders) == 1:
                return Outcome(refused={orders[0].order_uid: (error.code, str(error))})
        else:
            return Outcome(sent=len(orders))
        middle = len(orders) // 2
        first, second = await self(orders[:middle]), await self(orders[middle:])
        return Outcome(sent=first.sent + second.sent, refused={**first.refused, **second.refused})


class StoreDirectly(Delivery):
    """Stores orders in the database, bypassing the topic and the cache."""

    def __init__(self, repository: OrderRepository) -> None:
        self._repository = repository

    async def __call__(self, orders: Sequence[Order]) -> Outcome:
        """See ``Delivery``."""
        report = await self._repository.save_many(orders)
        refused = dict.fromkeys(report.conflicts, ("conflict", CONFLICT))
        refused |= {uid: ("rejected", reason) for uid, reason in report.rejected.items()}
        return Outcome(
            stored=len(report.saved),
            unchanged=len(report.unchanged),
            forgotten=len(report.forgotten),
            refused=refused,
        )


class ImportOrders:
    """Reads the next batch of a source while the last one is delivered."""

    def __init__(self, deliver: Delivery) -> None:
        self._deliver = deliver

    async def __call__(
        self,
        source: OrderSource,
        *,
        progress: Callable[[ImportReport], None] = lambda _: None,
        wants_stop: Callable[[], bool] = lambda: False,
        on_refused: Callable[[Sequence[RefusedOrder]], None] = lambda _: None,
    ) -> ImportReport:
        """Import all orders; importing them again changes nothing.

        Args:
            source: the orders.
            progress: called after each batch.
            wants_stop: called before each batch, and while the source has none ready.
            on_refused: called with what was refused of each batch, if anything was.

        Raises:
            NotFound: the source does not exist.
            Unavailable: a server is down; what was imported so far stays so.
        """
        counts: Counter[str] = Counter()
        codes: Counter[str] = Counter()
        batches = aiter(source.batches())
        ahead = asyncio.ensure_future(_next_checked(batches))
        try:
            while await has_ended(ahead, wants_stop):
                if (checked := ahead.result()) is None:
                    return _report(counts, codes)
                ahead = asyncio.ensure_future(_next_checked(batches))
                refused = [*checked.refused, *await self._deliver_all(checked.accepted, counts)]
                codes.update(one.code for one in refused)
                if refused:
                    on_refused(refused)
                progress(_report(counts, codes))
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)
        return _report(counts, codes, is_stopped=True)

    async def _deliver_all(
        self, waiting: Sequence["_Accepted"], counts: Counter[str]
    ) -> Sequence[RefusedOrder]:
        """Deliver the first order of each order_uid, then the second, and so on."""
        refused: list[RefusedOrder] = []
        while waiting:
            first: dict[str, _Accepted] = {}
            again = [
                one for one in waiting if first.setdefault(one.order.order_uid, one) is not one
            ]
            outcome = await self._deliver([one.order for one in first.values()])
            for name in ("sent", "stored", "unchanged", "forgotten"):
                counts[name] += getattr(outcome, name)
            for uid, (code, reason) in outcome.refused.items():
                one = first[uid]
                raw = one.raw or encode(one.order)
                refused.append(RefusedOrder(one.position, code, str(Fault((), reason)), raw))
            waiting = again
        return refused


class _Accepted(NamedTuple):
    """A valid order, and its original bytes if these are known."""

    position: str
    order: Order
    raw: bytes | None = None


class _Checked(NamedTuple):
    """The valid orders of a batch, and what is refused of it."""

    accepted: list[_Accepted]
    refused: list[RefusedOrder]


async def _next_checked(batches: AsyncIterator[Sequence[SourceEntry]]) -> _Checked | None:
    batch = await anext(batches, None)
    return None if batch is None else await asyncio.to_thread(_check, batch)


def _check(batch: Iterable[SourceEntry]) -> _Checked:
    checked = _Checked([], [])
    for position, content in ((entry.position, entry.content) for entry in batch):
        if isinstance(content, Order):
            checked.accepted.append(_Accepted(position, content))
        elif isinstance(content, bytes):
            reading = read(content, of_one=DETAIL_MAX_FAULTS)
            raw = None if reading.is_array else content
            checked.accepted.extend(_Accepted(position, one.order, raw) for one in reading.accepted)
            for one in reading.refused:
                reason = describe(one.faults)
                checked.refused.append(RefusedOrder(position, one.code, reason, one.raw))
        else:
            reason = str(content.fault)
            checked.refused.append(RefusedOrder(position, content.code, reason, content.raw))
    return checked


def _report(
    counts: Mapping[str, int], codes: Mapping[str, int], *, is_stopped: bool = False
) -> ImportReport:
    return ImportReport(**counts, refused=dict(codes), is_stopped=is_stopped)
