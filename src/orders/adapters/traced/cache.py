"""Records the use of the caches."""

from collections.abc import Collection, Mapping, Sequence

from opentelemetry.trace import SpanKind, get_current_span

from orders.adapters.traced.look_ups import LookUps
from orders.adapters.traced.spans import Spans, database_attributes
from orders.domain.order.tombstones import Tombstone
from orders.domain.ports import Cache, CachedDocument, LocalCache


class TracedCache(Cache):
    """A ``Cache`` that records what ``cache`` does.

    ``system`` is its name in the semantic conventions for databases.
    """

    def __init__(self, cache: Cache, spans: Spans, look_ups: LookUps, system: str) -> None:
        self._cache = cache
        self._spans = spans
        self._look_ups = look_ups
        self._system = system

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``Cache.get``."""
        callers = self._look_ups.of(order_uids)
        attributes = database_attributes(self._system, "get", len(order_uids))
        with self._spans.shared(callers, "get cached orders", attributes, SpanKind.CLIENT) as span:
            found = await self._cache.get(order_uids)
            span.set_attribute("orders.found", len(found))
            return found

    async def put(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        """See ``Cache.put``."""
        attributes = database_attributes(self._system, "put", len(documents))
        with self._spans.child("cache orders", attributes, SpanKind.CLIENT):
            await self._cache.put(documents, as_of)

    async def touch(self, order_uids: Collection[str]) -> list[str]:
        """See ``Cache.touch``."""
        return await self._cache.touch(order_uids)

    @property
    def position(self) -> int:
        """See ``Cache.position``."""
        return self._cache.position

    async def forget(self, tombstones: Sequence[Tombstone], since: int) -> None:
        """See ``Cache.forget``."""
        await self._cache.forget(tombstones, since)


class TracedLocalCache(LocalCache):
    """A ``LocalCache`` whose results are attributes of the current span.

    A span would take longer than what it measures.
    """

    def __init__(self, cache: LocalCache) -> None:
        self._cache = cache

    def peek(self, order_uid: str) -> CachedDocument | None:
        """See ``LocalCache.peek``."""
        found = self._cache.peek(order_uid)
        get_current_span().set_attribute("orders.local_cache.hit", found is not None)
        return found

    def forget(self, tombstones: Sequence[Tombstone], since: int) -> None:
        """See ``LocalCache.forget``."""
        self._cache.forget(tombstones, since)
