"""Caches of orders."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from orders.domain.order.tombstones import Tombstone


class Cache(Protocol):
    """A least-recently-used cache of documents by order_uid, with a fixed capacity.

    Losing entries only costs time. An entry that another client has corrupted counts as a miss and
    is deleted.

    A process that uses it tells it all tombstones, as ``FollowTombstones`` does. A cache that has
    missed some, because it was down, is emptied.
    """

    @property
    @abstractmethod
    def position(self) -> int:
        """The position of the latest tombstone that this process has told it."""

    @abstractmethod
    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """Return the cached documents of these orders, and mark them as recently used.

        Raises:
            Unavailable: the cache is down or too slow.
        """

    @abstractmethod
    async def put(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        """Cache documents, the last of them as the most recently used.

        The least recently used entries are evicted beyond the capacity. ``as_of`` is the
        ``position`` from before the documents were read: orders that were forgotten since are
        skipped. 0 is before all of them.

        Raises:
            Unavailable: the cache is down or too slow; its entries are still valid.
        """

    @abstractmethod
    async def touch(self, order_uids: Collection[str]) -> list[str]:
        """Mark cached orders as recently used, in this order.

        Returns those that are not cached, in the given order.

        Raises:
            Unavailable: the cache is down or too slow.
        """

    @abstractmethod
    async def forget(self, tombstones: Sequence[Tombstone], since: int) -> None:
        """Delete forgotten orders; ``tombstones`` are all of those after the position ``since``.

        Raises:
            Unavailable: the cache is down or too slow; it is emptied before it is used again.
        """


class CachedDocument(Struct, gc=False):
    """The canonical document of an order, and its digest in hexadecimal."""

    document: bytes
    digest: bytes


class LocalCache(Protocol):
    """The cache in this process."""

    @abstractmethod
    def peek(self, order_uid: str) -> CachedDocument | None:
        """Return the order if it is cached here; None does not mean that it does not exist.

        Does not wait. The result must not be changed.
        """

    @abstractmethod
    def forget(self, tombstones: Sequence[Tombstone], since: int) -> None:
        """Delete forgotten orders, and keep out what was read before they were forgotten.

        ``tombstones`` are all of those after the position ``since``. If there were others before
        it, everything is deleted.
        """
