"""Null objects for caches that are not configured."""

from collections.abc import Collection, Mapping, Sequence

from orders.adapters.read_path.local_cache import ReadCache
from orders.domain.order.tombstones import RecentTombstones, Tombstone
from orders.domain.ports import Cache, CachedDocument, Finding, Inspection, LocalCache


class NoCache(Cache):
    """A cache that is always empty and never down."""

    def __init__(self) -> None:
        self._position = 0

    @property
    def position(self) -> int:
        """See ``Cache.position``."""
        return self._position

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """Return nothing."""
        del order_uids
        return {}

    async def put(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        """Keep none of them."""

    async def forget(self, tombstones: Sequence[Tombstone], since: int) -> None:
        """Note the position alone."""
        self._position = max(self._position, since, *(each.position for each in tombstones))

    async def touch(self, order_uids: Collection[str]) -> list[str]:
        """Report none as missing, so that none is put."""
        del order_uids
        return []


class NoCacheInspection(Inspection):
    """Reports that no cache is configured."""

    async def inspect(self) -> Sequence[Finding]:
        """See ``Inspection.inspect``."""
        return [Finding("redis", "reachable", "ok", "none configured: reads go to PostgreSQL")]


class NoLocalCache(LocalCache, ReadCache):
    """Keeps nothing in this process; passes puts on to ``shared``."""

    def __init__(self, shared: Cache) -> None:
        self.recent = RecentTombstones()
        self._shared = shared

    def peek(self, order_uid: str) -> CachedDocument | None:
        """Return nothing."""
        del order_uid
        return None

    def forget(self, tombstones: Sequence[Tombstone], since: int) -> None:
        """See ``LocalCache.forget``."""
        self.recent.note(tombstones, since)

    def keep(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        """Do nothing: ``shared`` has them."""

    async def put(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        """See ``ReadCache.put``."""
        await self._shared.put(documents, as_of)

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
