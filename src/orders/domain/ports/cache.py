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
            Unavailable: the cache is away or too slow.
        """

    @abstractmethod
    async def put(self, documents: Mapping[str, bytes]) -> None:
        """Keep these documents, the last of them as the most recently used.

        What was used least recently gives way when there are more than the capacity.

        Raises:
            Unavailable: the cache is away or too slow; what it holds then is still right.
        """

    @abstractmethod
    async def touch(self, order_uids: Collection[str]) -> list[str]:
        """These were used, the last of them last; each that is kept becomes recent, in this order.

        Returns those that are not kept, in the order in which they were given.

        Raises:
            Unavailable: the cache is away or too slow.
        """


class Held(Struct, gc=False):
    """The canonical bytes of an order, and their digest in hexadecimal."""

    document: bytes
    digest: bytes


class AtHand(Protocol):
    """What this process holds of orders by itself."""

    @abstractmethod
    def at_hand(self, order_uid: str) -> Held | None:
        """The order, where it is held here; None says nothing about whether it exists.

        Not to be changed. Does not wait, and so costs less than asking any reader.
        """


class NothingAtHand(AtHand):
    """Where nothing is held."""

    def at_hand(self, order_uid: str) -> Held | None:
        """None."""
        del order_uid
        return None
