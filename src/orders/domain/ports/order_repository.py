"""The store of orders."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from orders.domain.order.model import Order
from orders.domain.order.queries import Cursor, FoundDocuments, OrderQuery, Page


class SaveReport(Struct, frozen=True):
    """The outcome of each order of a batch; every order_uid is in exactly one field.

    ``saved``: stored now. ``unchanged``: stored before and equal. ``conflicts``: stored before with
    other content, which stays. ``rejected``: refused by the store, with a reason that has no value
    of the order. ``forgotten``: deleted on request before, and not stored again.
    """

    saved: frozenset[str] = frozenset()
    unchanged: frozenset[str] = frozenset()
    conflicts: frozenset[str] = frozenset()
    rejected: Mapping[str, str] = field(default_factory=dict)
    forgotten: frozenset[str] = frozenset()


class OrderReader(Protocol):
    """Looks up orders."""

    @abstractmethod
    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """Return the canonical documents of those orders that exist.

        Raises:
            Unavailable: the store, or a part of it, is down or too slow.
        """


class OrderRepository(OrderReader, Protocol):
    """Stores each order as a whole and exactly once."""

    @abstractmethod
    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        """See ``OrderReader.get``.

        What an Unavailable has ``found`` lacks no tombstone that was known before.
        """

    @abstractmethod
    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        """Store a batch of different orders in one transaction.

        Saving stored orders again changes nothing. Orders that only the store refuses are reported,
        and the rest of the batch is stored without them.

        Raises:
            Unavailable: the store is down or too slow; the batch may have been stored, and saving
                it again is safe.
        """

    @abstractmethod
    async def are_stored(self, orders: Sequence[Order]) -> list[bool | None]:
        """Return of each order whether it is stored with this content.

        It is None if no order with this order_uid is stored. Several may have the same.

        Raises:
            Unavailable: the store is down or too slow.
        """

    @abstractmethod
    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        """Return at most ``limit`` orders that match ``query`` after ``after``, newest first.

        Raises:
            Unavailable: the store is down or too slow.
        """
