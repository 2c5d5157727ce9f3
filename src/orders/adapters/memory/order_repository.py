"""Orders in this process' memory."""

from bisect import insort
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from orders.domain.errors import Invalid, Unavailable
from orders.domain.order.document import StoredOrder, encode
from orders.domain.order.events import OrderEvent, Position
from orders.domain.order.model import Order
from orders.domain.order.queries import Cursor, FoundDocuments, OrderQuery, Page, View
from orders.domain.order.rules import INT64_MAX, INT64_MIN, is_storable
from orders.domain.order.summary import OrderSummary, encode_summary, summary_of
from orders.domain.ports import OrderRepository, SaveReport

_Key = tuple[datetime, bytes]


class MemoryOrderRepository(OrderRepository):
    """See ``OrderRepository``; everything is gone with the process.

    ``available`` set to False makes every call raise Unavailable, as a server does that is down.
    ``tombstones`` has the position of each forgotten order, in their order. ``events`` are those
    of orders stored and forgotten.
    """

    def __init__(self) -> None:
        self.available = True
        self._orders: dict[str, Order] = {}
        self._documents: dict[str, bytes] = {}
        self._by_age: list[_Key] = []
        self.tombstones: dict[str, int] = {}
        self.events: list[OrderEvent] = []
        self._transaction = 0

    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        """See ``OrderRepository.save_many``.

        Raises:
            ValueError: an order_uid occurs twice.
        """
        self.require_available()
        if len({order.order_uid for order in orders}) < len(orders):
            raise ValueError("an order_uid occurs twice in a batch")
        saved: list[str] = []
        unchanged: list[str] = []
        conflicts: list[str] = []
        rejected: dict[str, str] = {}
        forgotten: list[str] = []
        for order in orders:
            uid = order.order_uid
            if uid in self.tombstones:
                forgotten.append(uid)
            elif uid in self._orders:
                (unchanged if order == self._orders[uid] else conflicts).append(uid)
            elif reason := _refusal(order):
                rejected[uid] = reason
            else:
                self._store(order)
                saved.append(uid)
        return SaveReport(
            frozenset(saved),
            frozenset(unchanged),
            frozenset(conflicts),
            rejected,
            frozenset(forgotten),
        )

    async def are_stored(self, orders: Sequence[Order]) -> list[bool | None]:
        """See ``OrderRepository.are_stored``."""
        self.require_available()
        stored = self._orders
        return [o == stored[o.order_uid] if o.order_uid in stored else None for o in orders]

    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        """See ``OrderRepository.get``."""
        self.require_available()
        found = {uid: self._documents[uid] for uid in order_uids if uid in self._documents}
        return FoundDocuments(found, self.latest_tombstone)

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        """See ``OrderRepository.page``.

        Raises:
            Invalid: ``after`` is no cursor that a page ever gave.
        """
        self.require_available()
        if after is not None and not is_storable(after.order_uid):
            raise Invalid("the cursor is not one that was given out")
        before = after and (after.date_created, after.order_uid.encode())
        found: list[StoredOrder] = []
        for key in reversed(self._by_age):
            uid = key[1].decode()
            order = self._orders[uid]
            if (before and key >= before) or not _meets(order, query):
                continue
            if len(found) == limit:
                cursor = Cursor(found[-1].date_created, found[-1].order_uid)
                return Page(tuple(found), cursor, self.latest_tombstone)
            document = encode_summary(order) if query.view is View.SUMMARY else self._documents[uid]
            found.append(StoredOrder(uid, order.date_created, document))
        return Page(tuple(found), as_of=self.latest_tombstone)

    def _store(self, order: Order) -> None:
        self._orders[order.order_uid] = order
        self._documents[order.order_uid] = encode(order)
        insort(self._by_age, (order.date_created, order.order_uid.encode()))
        self.note(order.order_uid, summary_of(order))

    def note(self, order_uid: str, summary: OrderSummary | None = None) -> None:
        """Add the event of an order, in place of an earlier one."""
        self._transaction += 1
        self.events = [event for event in self.events if event.order_uid != order_uid]
        self.events.append(OrderEvent(Position(self._transaction, order_uid), order_uid, summary))

    @property
    def latest_position(self) -> Position:
        """The position after all events."""
        return Position(self._transaction + 1, "")

    @property
    def latest_tombstone(self) -> int:
        """The position of the latest tombstone, 0 if there is none."""
        return next(reversed(self.tombstones.values()), 0)

    def remove(self, order_uid: str) -> bool:
        """Remove an order; returns whether it was stored."""
        order = self._orders.pop(order_uid, None)
        if order is None:
            return False
        del self._documents[order_uid]
        self._by_age.remove((order.date_created, order_uid.encode()))
        return True

    def oldest(self) -> list[Cursor]:
        """All orders, the oldest first."""
        return [Cursor(moment, uid.decode()) for moment, uid in self._by_age]

    def require_available(self) -> None:
        """Raise Unavailable unless ``available``."""
        if not self.available:
            raise Unavailable("the orders' memory is switched off")


def _meets(order: Order, query: OrderQuery) -> bool:
    return (
        (query.order_uid is None or order.order_uid == query.order_uid)
        and (query.customer_id is None or order.customer_id == query.customer_id)
        and (query.track_number is None or order.track_number == query.track_number)
        and (query.created_from is None or order.date_created >= query.created_from)
        and (query.created_to is None or order.date_created < query.created_to)
    )


def _refusal(order: Order) -> str | None:
    """What a database would refuse it for, in an order that was never checked."""
    for value in _scalars(msgspec.structs.astuple(order)):
        if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
            return "an integer does not fit 64 bits"
        if isinstance(value, str) and not is_storable(value):
            return "a text holds U+0000 or a lone surrogate"
    return None


def _scalars(values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if isinstance(value, msgspec.Struct):
            found += _scalars(msgspec.structs.astuple(value))
        elif isinstance(value, tuple):
            found += _scalars(value)
        else:
            found.append(value)
    return found
