"""Reads orders from the shared cache, and those that it lacks from the repository."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from contextvars import Context

from orders.adapters.read_path.batch_loader import BatchLoader
from orders.adapters.read_path.local_cache import ReadCache
from orders.domain.errors import Unavailable
from orders.domain.ports import Cache, OrderReader, OrderRepository
from orders.metrics import LOOKUP_BATCHES, LOOKUPS

MIN_HIT_RATE = 1 / 16
"""Below this, querying the shared cache costs more than it saves."""
EWMA_ALPHA = 1 / 8
"""The weight of the newest batch in the moving average of the hit rate."""


class CachedOrderReader(OrderReader):
    """Queries ``shared``, then ``repository`` for the misses, and fills the caches with the result.

    A shared cache that is down counts as empty. Concurrent look-ups share batches to each of the
    two; the misses of the cache move on to the repository's next batch without waking their callers
    in between.

    While the hit rate is below ``MIN_HIT_RATE``, the cache is bypassed, unless the repository is
    down or slow; after ``bypass_seconds`` the cache is tried again. So an order in the cache is
    served at once, or after ``slow_after`` seconds if the repository was queried first and does not
    answer.

    Args:
        repository: has every order.
        shared: the cache that all processes share.
        local: is filled with the orders read; not queried, since callers peek into it first.
        workers, max_batch, slow_after: as for ``BatchLoader``, for each of the two.
        bypass_seconds: how long the cache is bypassed.
    """

    def __init__(
        self,
        repository: OrderRepository,
        shared: Cache,
        local: ReadCache,
        *,
        workers: int = 2,
        max_batch: int = 32,
        bypass_seconds: float = 1.0,
        slow_after: float = 0.5,
    ) -> None:
        self._repository = repository
        self._shared = shared
        self._local = local
        self._recent = local.recent
        self._bypass_seconds = bypass_seconds
        self._slow_after = slow_after
        self._hit_rate = 1.0
        self._bypass_until = 0.0
        self._repository_is_up = True
        self._cache_poll: asyncio.Task[None] | None = None
        self._from_repository = BatchLoader(
            self._load_from_repository,
            workers=workers,
            max_batch=max_batch,
            slow_after=slow_after,
            on_slow=self._poll_cache_while_slow,
        )
        self._from_shared = BatchLoader(
            self._load_from_shared,
            workers=workers,
            max_batch=max_batch,
            slow_after=slow_after,
            fallback=self._from_repository,
        )

    async def open(self) -> None:
        """Accept callers, also after ``close``."""
        await self._from_repository.open()
        await self._from_shared.open()

    async def close(self) -> None:
        """Cancel all batches; waiting callers get Unavailable."""
        await self._from_shared.close()
        await self._from_repository.close()
        if poll := self._cache_poll:
            poll.cancel()
            await asyncio.gather(poll, return_exceptions=True)

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``OrderReader.get``; raises Unavailable only for orders that no cache holds."""
        now = asyncio.get_running_loop().time()
        answers = self._repository_is_up and not self._from_repository.is_slow
        if now < self._bypass_until and answers:
            return await self._from_repository.get(order_uids)
        return await self._from_shared.get(order_uids)

    async def _load_from_shared(self, order_uids: Sequence[str]) -> Mapping[str, bytes]:
        found = await self._ask_shared(order_uids)
        _count("shared", len(found), len(order_uids))
        self._hit_rate += (len(found) / len(order_uids) - self._hit_rate) * EWMA_ALPHA
        if self._hit_rate < MIN_HIT_RATE:
            self._bypass_until = asyncio.get_running_loop().time() + self._bypass_seconds
        return found

    async def _load_from_repository(
        self, order_uids: Sequence[str]
    ) -> Mapping[str, bytes | Exception]:
        as_of = self._shared.position
        try:
            found = await self._repository.get(order_uids)
            self._recent.require(found.as_of)
        except Unavailable as failure:
            self._repository_is_up = False
            cached = await self._ask_shared(order_uids)  # for callers that bypassed the cache
            some = {**cached, **self._recent.without_forgotten(failure.found, as_of)}
            return {uid: some.get(uid, failure) for uid in order_uids}
        self._repository_is_up = True
        # Of what is current, some may have been forgotten between the snapshot and now.
        as_of = min(as_of, found.as_of)
        kept = self._recent.without_forgotten(found, as_of)
        _count("database", len(kept), len(order_uids))
        if kept:
            with suppress(Unavailable):  # the orders were read all the same
                await self._local.put(kept, as_of)
        return kept

    async def _ask_shared(self, order_uids: Sequence[str]) -> Mapping[str, bytes]:
        as_of = self._shared.position
        try:
            found = await self._shared.get(order_uids)
        except Unavailable:
            return {}
        kept = self._recent.without_forgotten(found, as_of)
        self._local.keep(kept, as_of)
        return kept

    def _poll_cache_while_slow(self) -> None:
        if self._cache_poll is None or self._cache_poll.done():
            loop = asyncio.get_running_loop()
            self._cache_poll = loop.create_task(self._poll_cache(), context=Context())

    async def _poll_cache(self) -> None:
        """Poll the cache on behalf of the waiters for a slow repository.

        Some of them bypassed the cache, and their orders may be put there in the meantime.
        """
        while self._from_repository.is_slow:
            self._from_repository.resolve(await self._ask_shared(self._from_repository.pending))
            await asyncio.sleep(self._slow_after)


def _count(layer: str, found: int, asked: int) -> None:
    LOOKUP_BATCHES.labels(layer).inc()
    LOOKUPS.cell(layer, "hit")[0] += found
    LOOKUPS.cell(layer, "miss")[0] += asked - found
