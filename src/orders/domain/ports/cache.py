"""Where the orders that were used last are kept at hand."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Protocol


class Cache(Protocol):
    """A least-recently-used cache of canonical bytes by order_uid, with a fixed capacity.

    Losing all of it costs time only. What it gives out is always what was put in: an entry that
    anybody else has spoilt counts as absent and is dropped.
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
