"""Erases orders from the store of orders."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from orders.domain.order.queries import Cursor
from orders.domain.order.tombstones import Tombstone


class Erasure(Protocol):
    """Replaces orders by tombstones, in the store of an ``OrderRepository``.

    What is forgotten is neither found nor listed, and cannot be stored again: saving it is reported
    as ``forgotten``. A tombstone holds the order_uid and nothing else of the order.
    """

    @abstractmethod
    async def forget(self, order_uids: Collection[str]) -> int:
        """Forget orders, each as a whole, whether or not they are stored.

        Forgetting one again gives its tombstone a new position. Returns how many were stored.

        Raises:
            Unavailable: the store is down or too slow; some may be forgotten, repeating it is safe.
        """

    @abstractmethod
    async def latest_position(self) -> int:
        """Return the position of the latest tombstone, 0 if there is none.

        Raises:
            Unavailable: the store is down or too slow.
        """

    @abstractmethod
    async def tombstones(self, after: int, limit: int) -> list[Tombstone]:
        """Return at most ``limit`` tombstones after this position, in the order of positions.

        Raises:
            Unavailable: the store is down or too slow.
        """

    @abstractmethod
    async def forgotten_among(self, order_uids: Collection[str]) -> frozenset[str]:
        """Return those of these orders that are forgotten.

        Raises:
            Unavailable: the store is down or too slow.
        """

    @abstractmethod
    async def oldest(
        self, before: datetime, limit: int, after: Cursor | None = None
    ) -> Sequence[Cursor]:
        """Return at most ``limit`` orders created before a time, after ``after``, oldest first.

        Raises:
            Unavailable: the store is down or too slow.
        """

    @abstractmethod
    async def drop_tombstones(self, before: datetime, limit: int) -> int:
        """Delete at most ``limit`` tombstones from before a time, the oldest; returns how many.

        The latest of all stays. An order whose tombstone is gone can be stored again.

        Raises:
            Unavailable: the store is down or too slow; repeating it is safe.
        """
