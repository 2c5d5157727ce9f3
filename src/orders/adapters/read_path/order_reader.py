"""Reads orders from the shared cache, and from the repository what that does not hold."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from contextvars import Context

from orders.adapters.read_path.batch_loader import BatchLoader
from orders.adapters.read_path.local_cache import ReadCache
from orders.domain.errors import Unavailable
from orders.domain.ports import Cache, OrderReader

MIN_HIT_RATE = 1 / 16
"""Below it, asking the shared cache costs more than it saves."""
EWMA_ALPHA = 1 / 8
"""The weight of the newest batch in the moving average of the hit rate."""


class CachedOrderReader(OrderReader):
    """Asks ``shared`` first, then ``repository`` for the rest, and fills the caches with it.

    A shared cache that is down is as good as an empty one. Concurrent look-ups become one batch to
    each of the two; what the cache misses goes on to the repository's next batch without waking its
    callers in between.

    While the hit rate is below ``MIN_HIT_RATE`` the repository is asked directly, and the cache
    only if the repository is down or slow; after ``bypass_seconds`` the cache is tried again. So
    what the cache holds is served at once, or after ``slow_after`` seconds if the repository was
    asked first and does not answer.

    Args:
        repository: has every order.
        shared: the cache that all processes share.
        local: is filled with what was read; not asked, for callers peek into it before.
        workers, max_batch, slow_after: as for ``BatchLoader``, for each of the two.
        bypass_seconds: how long the cache is bypassed.
    """

    def __init__(
        self,
        repository: OrderReader,
        shared: Cache,
        local: ReadCache,
        *,
        workers: int = 2,
        max_batch: int = 128,
        bypass_seconds: float = 1.0,
        slow_after: float = 0.5,
    ) -> None:
        self._repository = repository
        self._shared = shared
        self._local = local
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
        """Cancel all batches; callers that wait get Unavailable."""
        await self._from_shared.close()
        await self._from_repository.close()
        if poll := self._cache_poll:
            poll.cancel()
            await asyncio.gather(poll, return_exceptions=True)

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``OrderReader.get``; raises Unavailable only for what the caches do not hold."""
        now = asyncio.get_running_loop().time()
        answers = self._repository_is_up and not self._from_repository.is_slow
        if now < self._bypass_until and answers:
            return await self._from_repository.get(order_uids)
        return await self._from_shared.get(order_uids)

    async def _load_from_shared(self, order_uids: Sequence[str]) -> Mapping[str, bytes]:
        found = await self._ask_shared(order_uids)
        self._hit_rate += (len(found) / len(order_uids) - self._hit_rate) * EWMA_ALPHA
        if self._hit_rate < MIN_HIT_RATE:
            self._bypass_until = asyncio.get_running_loop().time() + self._bypass_seconds
        return found

    async def _load_from_repository(
        self, order_uids: Sequence[str]
    ) -> Mapping[str, bytes | Exception]:
        try:
            found = await self._repository.get(order_uids)
        except Unavailable as failure:
            self._repository_is_up = False
            cached = await self._ask_shared(order_uids)  # not all of them went by the cache
            return {uid: cached.get(uid, failure) for uid in order_uids}
        self._repository_is_up = True
        if found:
            with suppress(Unavailable):  # the orders are known all the same
                await self._local.put(found)
        return found

    async def _ask_shared(self, order_uids: Sequence[str]) -> Mapping[str, bytes]:
        try:
            found = await self._shared.get(order_uids)
        except Unavailable:
            return {}
        self._local.keep(found)
        return found

    def _poll_cache_while_slow(self) -> None:
        if self._cache_poll is None or self._cache_poll.done():
            loop = asyncio.get_running_loop()
            self._cache_poll = loop.create_task(self._poll_cache(), context=Context())

    async def _poll_cache(self) -> None:
        """Ask the cache again and again for those who wait for a slow repository.

        Not all of them went by the cache, and what they wait for may be put there meanwhile.
        """
        while self._from_repository.is_slow:
            self._from_repository.resolve(await self._ask_shared(self._from_repository.pending))
            await asyncio.sleep(self._slow_after)
