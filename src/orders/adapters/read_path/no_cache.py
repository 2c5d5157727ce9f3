"""Null objects for caches that are not configured."""

from collections.abc import Collection, Mapping, Sequence

from orders.adapters.read_path.local_cache import ReadCache
from orders.domain.ports import Cache, CachedDocument, Finding, Inspection, LocalCache


class NoCache(Cache):
    """A cache that is always empty and never down."""

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """Return nothing."""
        del order_uids
        return {}

    async def put(self, documents: Mapping[str, bytes]) -> None:
        """Keep none of them."""

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
        self._shared = shared

    def peek(self, order_uid: str) -> CachedDocument | None:
        """Return nothing."""
        del order_uid
        return None

    def keep(self, documents: Mapping[str, bytes]) -> None:
        """Do nothing: ``shared`` has them."""

    async def put(self, documents: Mapping[str, bytes]) -> None:
        """See ``ReadCache.put``."""
        await self._shared.put(documents)

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
