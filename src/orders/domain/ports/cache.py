"""Caches of orders."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Protocol

from msgspec import Struct


class Cache(Protocol):
    """A least-recently-used cache of documents by order_uid, with a fixed capacity.

    Losing entries only costs time. An entry that another client has corrupted counts as a miss and
    is deleted.
    """

    @abstractmethod
    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """Return the cached documents of these orders, and mark them as recently used.

        Raises:
            Unavailable: the cache is down or too slow.
        """

    @abstractmethod
    async def put(self, documents: Mapping[str, bytes]) -> None:
        """Cache documents, the last of them as the most recently used.

        The least recently used entries are evicted beyond the capacity.

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
