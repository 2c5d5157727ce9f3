"""Compares the orders of the service that this one replaces with those stored here."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from orders.domain.intake.reading import read
from orders.domain.order.document import encode
from orders.domain.ports import Erasure, OrderCensus, OrderNumbers
from orders.domain.use_cases.stopping import has_ended

SHOWN = 20
"""The most order_uids that a report names of each kind."""
_TOMBSTONES = 1_000
"""Tombstones that are looked up at once."""


class Compared(Struct):
    """How orders compare; the lists of order_uids are cut at ``SHOWN``.

    ``fields`` counts the orders in which a field differs. ``forgotten`` are all orders of the old
    service that were forgotten here; ``invalid`` are those that were read and break our rules.
    Neither is a difference.
    """

    old: OrderNumbers = OrderNumbers({})
    new: OrderNumbers = OrderNumbers({})
    forgotten: int = 0
    equal: int = 0
    invalid: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    uids: dict[str, list[str]] = field(default_factory=dict)
    fields: Counter[str] = field(default_factory=Counter)
    is_stopped: bool = False

    @property
    def compared(self) -> int:
        """The number of orders looked at."""
        return self.equal + self.invalid + self.counts.total()

    @property
    def missing(self) -> int:
        """How many orders are missing here by the numbers; less than 0 if there are more here.

        Of a sample it is not known how many orders are invalid in all, so each that is not in the
        sample counts as one that is missing here.
        """
        fewer = sum(self.old.days.values()) - sum(self.new.days.values())
        return fewer - self.forgotten - self.invalid

    @property
    def is_equal(self) -> bool:
        """Whether no order differs, by the numbers too."""
        return not (self.is_stopped or self.counts or self.missing)

    def note(self, kind: str, order_uid: str) -> None:
        """Count an order of a kind of difference, and name it if there are few."""
        self.counts[kind] += 1
        named = self.uids.setdefault(kind, [])
        if len(named) < SHOWN:
            named.append(order_uid)


class CompareOrders:
    """Compares by numbers and field by field."""

    def __init__(self, new: OrderCensus, erasure: Erasure) -> None:
        self._new = new
        self._erasure = erasure

    async def __call__(
        self,
        old: OrderCensus,
        *,
        sample: int | None,
        seed: int = 0,
        progress: Callable[[int], None] = lambda _: None,
        wants_stop: Callable[[], bool] = lambda: False,
    ) -> Compared:
        """Compare all orders, or ``sample`` of each side.

        Raises:
            Unavailable: a server is down.
        """
        result = Compared()
        work = asyncio.ensure_future(self._compare(old, sample, seed, result, progress))
        try:
            if await has_ended(work, wants_stop):
                work.result()
            else:
                result.is_stopped = True
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        return result

    async def _compare(
        self,
        old: OrderCensus,
        sample: int | None,
        seed: int,
        result: Compared,
        progress: Callable[[int], None],
    ) -> None:
        result.old, result.new = await old.numbers(), await self._new.numbers()
        result.forgotten = await self._count_forgotten(old)
        async for uids in old.uids(sample, seed):
            async for theirs in old.documents(uids):
                await self._compare_documents(theirs, result)
                progress(result.compared)
        async for uids in self._new.uids(sample, seed):
            known = await old.known(uids)
            for uid in uids:
                if uid not in known:
                    result.note("only in the new database", uid)
            progress(result.compared)

    async def _compare_documents(self, theirs: Mapping[str, bytes], result: Compared) -> None:
        missing = dict(theirs)
        async for ours in self._new.documents(list(theirs)):
            for uid, document in ours.items():
                _compare(uid, missing.pop(uid), document, result)
        forgotten = await self._erasure.forgotten_among(missing.keys())
        for uid, document in missing.items():
            if uid not in forgotten:
                _compare(uid, document, None, result)

    async def _count_forgotten(self, old: OrderCensus) -> int:
        position = number = 0
        while tombstones := await self._erasure.tombstones(position, _TOMBSTONES):
            number += len(await old.known([tombstone.order_uid for tombstone in tombstones]))
            position = tombstones[-1].position
        return number


def _compare(uid: str, theirs: bytes, ours: bytes | None, result: Compared) -> None:
    reading = read(theirs)
    if ours is None and reading.refused:
        result.invalid += 1
    elif ours is None:
        result.note("only in the old database", uid)
    elif reading.refused:
        result.note("different", uid)
        result.fields["(the old order is not valid)"] += 1
    elif (canonical := encode(reading.accepted[0].order)) == ours:
        result.equal += 1
    else:
        result.note("different", uid)
        names = _differences(msgspec.json.decode(canonical), msgspec.json.decode(ours))
        result.fields.update(set(names))


def _differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """Yield the names of the fields that differ, items without their index."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            yield from _differences(old.get(key), new.get(key), f"{name}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for one, other in zip(old, new, strict=True):
            yield from _differences(one, other, name + "[]")
    elif old != new:
        yield name
