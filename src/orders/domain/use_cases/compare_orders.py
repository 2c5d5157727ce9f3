"""Compares the orders of the service that this one replaces with those stored here."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from orders.domain.intake.reading import read
from orders.domain.order.document import encode
from orders.domain.ports import OrderCensus

SHOWN = 20
"""The most order_uids that a report names of each kind."""


class Compared(Struct):
    """How orders compare; the lists of order_uids are cut at ``SHOWN``.

    ``fields`` counts the orders in which a field differs. ``incomplete`` are those that the old
    service stored without delivery or payment; ``invalid`` break our rules. Neither is compared.
    """

    old_days: Mapping[str, int]
    new_days: Mapping[str, int]
    equal: int = 0
    incomplete: int = 0
    invalid: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    uids: dict[str, list[str]] = field(default_factory=dict)
    fields: Counter[str] = field(default_factory=Counter)

    @property
    def compared(self) -> int:
        """The number of orders looked at."""
        return self.equal + self.incomplete + self.invalid + self.counts.total()

    @property
    def is_equal(self) -> bool:
        """Whether every order is the same, but for those that cannot be taken over.

        By the numbers too: as many may be fewer here as cannot be taken over, if all were looked
        at; of a sample that is not known.
        """
        lacking = sum(self.old_days.values()) - sum(self.new_days.values())
        return not self.counts and lacking == self.incomplete + self.invalid

    def note(self, kind: str, order_uid: str) -> None:
        """Count an order that is ``only in the old``, ``only in the new`` or ``different``."""
        self.counts[kind] += 1
        named = self.uids.setdefault(kind, [])
        if len(named) < SHOWN:
            named.append(order_uid)


class CompareOrders:
    """Compares by numbers and field by field."""

    def __init__(self, new: OrderCensus) -> None:
        self._new = new

    async def __call__(
        self,
        old: OrderCensus,
        *,
        sample: int | None,
        seed: int = 0,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Compared:
        """Compare all orders, or ``sample`` of each side.

        Raises:
            Invalid: the old tables have another form.
            Unavailable: a server is down.
        """
        result = Compared(await old.days(), await self._new.days())
        async for uids in old.uids(sample, seed):
            theirs, ours = await old.documents(uids), await self._new.documents(uids)
            for uid in uids:
                _compare(uid, theirs.get(uid), ours.get(uid), result)
            progress(result.compared)
        async for uids in self._new.uids(sample, seed):
            known = await old.known(uids)
            for uid in uids:
                if uid not in known:
                    result.note("only in the new", uid)
            progress(result.compared)
        return result


def _compare(uid: str, theirs: bytes | None, ours: bytes | None, result: Compared) -> None:
    reading = read(theirs or b"")
    if ours is None and reading.refused:
        if _is_incomplete(theirs or b""):
            result.incomplete += 1
        else:
            result.invalid += 1
    elif ours is None:
        result.note("only in the old", uid)
    elif reading.refused:
        result.note("different", uid)
        result.fields["(the old order is not valid)"] += 1
    elif (canonical := encode(reading.accepted[0].order)) == ours:
        result.equal += 1
    else:
        result.note("different", uid)
        names = _differences(msgspec.json.decode(canonical), msgspec.json.decode(ours))
        result.fields.update(set(names))


def _is_incomplete(document: bytes) -> bool:
    try:
        order = msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return order.get("delivery") is None or order.get("payment") is None


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
