"""Where orders are kept for good."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from orders.domain.order.document import StoredOrder
from orders.domain.order.model import Order
from orders.domain.order.queries import Cursor, OrderQuery, Page


class SaveReport(Struct, frozen=True):
    """What became of each order of a batch; every order_uid of it is in exactly one field.

    ``saved``: stored now. ``unchanged``: stored before, equal in every field. ``conflicts``: stored
    before with other content, which stays. ``rejected``: refused by the store alone, with a reason
    that holds no value of the order.
    """

    saved: frozenset[str] = frozenset()
    unchanged: frozenset[str] = frozenset()
    conflicts: frozenset[str] = frozenset()
    rejected: Mapping[str, str] = field(default_factory=dict)


class OrderReader(Protocol):
    """Looks orders up by their identity."""

    @abstractmethod
    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """The canonical bytes of each of these orders that exists; the others are left out.

        Raises:
            Unavailable: the store is down or too slow.
        """


class OrderRepository(OrderReader, Protocol):
    """Keeps orders, each whole or not at all, each exactly once."""

    @abstractmethod
    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        """Store a batch, in which each order_uid stands once, in one transaction.

        Saving again what is stored changes nothing. What the store alone refuses is found and
        reported, and the rest of the batch is stored without it.

        Raises:
            Unavailable: the store is down or too slow; it is not known whether the batch was
                stored, and saving it again is safe.
        """

    @abstractmethod
    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        """At most ``limit`` (1 or more) orders that meet ``query``, newest first, after ``after``.

        Raises:
            Unavailable: the store is down or too slow.
        """

    @abstractmethod
    async def latest(self, amount: int) -> list[StoredOrder]:
        """The ``amount`` newest orders by date_created, newest first.

        Raises:
            Unavailable: the store is down or too slow.
        """
