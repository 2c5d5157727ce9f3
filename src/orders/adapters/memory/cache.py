"""The cache in memory."""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence

from orders.domain.errors import Unavailable
from orders.domain.order.tombstones import RecentTombstones, Tombstone
from orders.domain.ports import Cache, Dependency


class MemoryCache(Cache, Dependency):
    """A least-recently-used cache of at most ``capacity`` (1 or more) documents.

    Attributes:
        available: set it to False to simulate an outage of the cache.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("capacity must be 1 or more")
        self.available = True
        self._capacity = capacity
        self._documents: OrderedDict[str, bytes] = OrderedDict()
        self._recent = RecentTombstones()
        self._position = 0

    @property
    def position(self) -> int:
        """See ``Cache.position``."""
        return self._position

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``Cache.get``."""
        await self.check()
        self._note((), self._position)
        found = {}
        for uid in order_uids:
            if uid in self._documents:
                self._documents.move_to_end(uid)
                found[uid] = self._documents[uid]
        return found

    async def put(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        """See ``Cache.put``."""
        await self.check()
        if not self._recent.reach_back_to(as_of):
            return
        for uid, document in self._recent.without_forgotten(documents, as_of).items():
            self._documents[uid] = document
            self._documents.move_to_end(uid)
        while len(self._documents) > self._capacity:
            self._documents.popitem(last=False)

    async def touch(self, order_uids: Collection[str]) -> list[str]:
        """See ``Cache.touch``."""
        found = await self.get(order_uids)
        return [uid for uid in order_uids if uid not in found]

    async def forget(self, tombstones: Sequence[Tombstone], since: int) -> None:
        """See ``Cache.forget``."""
        self._position = max(self._position, since, *(each.position for each in tombstones))
        await self.check()
        self._note(tombstones, since)

    def _note(self, tombstones: Sequence[Tombstone], since: int) -> None:
        if not self._recent.note(tombstones, since):
            self._documents.clear()
        for tombstone in tombstones:
            self._documents.pop(tombstone.order_uid, None)

    async def check(self) -> None:
        """See ``Dependency.check``."""
        if not self.available:
            raise Unavailable("the cache is down")
