"""Tombstones: what is left of orders that were forgotten."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from msgspec import Struct

from orders.domain.errors import Unavailable

MAX_RECENT = 10_000
"""Tombstones that caches remember, to refuse documents that were read before the deletion."""


class Tombstone(Struct, frozen=True, gc=False):
    """A forgotten order.

    ``position`` is the microsecond of Unix time at which it was forgotten, by the database's clock.
    No two tombstones have the same one, and they become visible in its order.
    """

    order_uid: str
    position: int


class RecentTombstones:
    """The latest tombstones, by which a cache recognizes documents that were read too early.

    A document is judged by ``as_of``, the position of the latest tombstone in the snapshot that it
    was read from, or of one that was known before: a later tombstone of its order means that it may
    have been read before the deletion.
    """

    def __init__(self, most: int = MAX_RECENT) -> None:
        self._most = most
        self._positions: OrderedDict[str, int] = OrderedDict()  # the earliest first
        self._latest = 0
        self._floor = 0

    def note(self, tombstones: Sequence[Tombstone], since: int) -> bool:
        """Remember tombstones, which are all of those after ``since``, in their order.

        Returns False if there may be others before ``since`` that were never noted.
        """
        has_all = since <= self._latest
        if not has_all:
            self._positions.clear()
            self._floor = self._latest = since
        for tombstone in tombstones:
            self._positions[tombstone.order_uid] = tombstone.position
            self._positions.move_to_end(tombstone.order_uid)
            self._latest = max(self._latest, tombstone.position)
        while len(self._positions) > self._most:
            _, self._floor = self._positions.popitem(last=False)
        return has_all

    def reach_back_to(self, as_of: int) -> bool:
        """Whether all tombstones after ``as_of`` are remembered."""
        return as_of >= self._floor

    def require(self, as_of: int) -> None:
        """Raise Unavailable unless all tombstones after ``as_of`` are remembered.

        Of what was read with less, nobody could say what is forgotten.
        """
        if not self.reach_back_to(as_of):
            raise Unavailable("the standby that was read is too far behind")

    def forgotten_since(self, order_uid: str, as_of: int) -> bool:
        """Whether an order has a later tombstone than ``as_of``."""
        return self._positions.get(order_uid, 0) > as_of

    def without_forgotten(self, documents: Mapping[str, bytes], as_of: int) -> Mapping[str, bytes]:
        """Return ``documents`` without those of orders with a later tombstone than ``as_of``."""
        if not self._positions:
            return documents
        return {u: doc for u, doc in documents.items() if not self.forgotten_since(u, as_of)}
