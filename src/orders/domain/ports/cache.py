"""Where the orders that were used last are kept at hand."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Protocol

from msgspec import Struct


class Cache(Protocol):
    """A least-recently-used cache of canonical bytes by order_uid, with a fixed capacity.

    Losing all of it costs time only. What it gives out is always what was put in: an entry that
    another client corrupted counts as absent and is dropped.
    """

    @abstractmethod
    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """What is kept of these orders; each that is found becomes the most recently used.

        Raises:
            Unavailable: the cache is down or too slow.
        """

    @abstractmethod
    async def put(self, documents: Mapping[str, bytes]) -> None:
        """Keep these documents, the last of them as the most recently used.

        What was used least recently gives way when there are more than the capacity.

        Raises:
            Unavailable: the cache is down or too slow; what it holds then is still right.
        """

    @abstractmethod
    async def touch(self, order_uids: Collection[str]) -> list[str]:
        """These were used, the last of them last; each that is kept becomes recent, in this order.

        Returns those that are not kept, in the order in which they were given.

        Raises:
            Unavailable: the cache is down or too slow.
        """


class CachedDocument(Struct, gc=False):
    """The canonical bytes of an order, and their digest in hexadecimal."""

    document: bytes
    digest: bytes


class LocalCache(Protocol):
    """The orders that this process has cached by itself."""

    @abstractmethod
    def peek(self, order_uid: str) -> CachedDocument | None:
        """The order, if it is cached here; None does not mean that it does not exist.

        Not to be changed. Does not wait, and so costs less than asking any reader.
        """
