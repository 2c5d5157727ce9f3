"""A reader with a cache before it, both asked for many orders at once."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from contextvars import Context

from orders.adapters.coalesced.flights import Flights
from orders.domain.errors import Unavailable
from orders.domain.ports import Cache, OrderReader

_USELESS = 1 / 16
"""Of what it is asked for, the cache holds less: then asking it costs more than it saves."""
_NEWEST = 1 / 8
"""What the newest question to the cache counts in the share of what it holds."""


class CoalescedReader(OrderReader):
    """Asks ``cache`` first, ``reader`` for what is missing, and puts that into the cache.

    A cache that is away is as good as an empty one. Look-ups that wait at the same time become one
    question to each of the two. What the cache does not hold goes on to the next question to
    ``reader`` without its callers being woken in between.

    While the cache holds next to nothing of what is asked for, ``reader`` is asked at once, and the
    cache only where that one is away or slow. After ``pause`` the cache has its chance again. A
    question to it is a quarter of the time that an order from the store takes of the process.
    So what the cache holds is served at once, or after ``slow`` where ``reader`` was asked first
    and does not answer.

    ``at_once``, ``most`` and ``slow`` as for ``Flights``, for each of the two. ``pause``: in
    seconds.
    """

    def __init__(
        self,
        reader: OrderReader,
        cache: Cache,
        *,
        at_once: int = 2,
        most: int = 128,
        pause: float = 1.0,
        slow: float = 0.5,
    ) -> None:
        self._reader = reader
        self._cache = cache
        self._pause = pause
        self._slow = slow
        self._share = 1.0  # of what the cache was asked for lately, what it held
        self._left_alone_until = 0.0
        self._reader_answers = True
        self._meanwhile: asyncio.Task[None] | None = None
        self._to_reader = Flights(
            self._ask_reader,
            at_once=at_once,
            most=most,
            slow=slow,
            on_slow=self._reader_is_slow,
        )
        self._to_cache = Flights(
            self._ask_cache, at_once=at_once, most=most, slow=slow, onward=self._to_reader
        )

    async def open(self) -> None:
        """Take callers, as from the beginning."""
        await self._to_reader.open()
        await self._to_cache.open()

    async def close(self) -> None:
        """End all questions; who waits is told that it is ``Unavailable``."""
        await self._to_cache.close()
        await self._to_reader.close()
        if meanwhile := self._meanwhile:
            meanwhile.cancel()
            await asyncio.gather(meanwhile, return_exceptions=True)

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``OrderReader.get``; raises Unavailable only for what the cache does not hold."""
        now = asyncio.get_running_loop().time()
        answers = self._reader_answers and not self._to_reader.is_slow
        if now < self._left_alone_until and answers:
            return await self._to_reader.get(order_uids)
        return await self._to_cache.get(order_uids)

    async def _held(self, order_uids: Sequence[str]) -> Mapping[str, bytes]:
        try:
            return await self._cache.get(order_uids)
        except Unavailable:
            return {}

    async def _ask_cache(self, order_uids: Sequence[str]) -> Mapping[str, bytes]:
        found = await self._held(order_uids)
        self._share += (len(found) / len(order_uids) - self._share) * _NEWEST
        if self._share < _USELESS:
            self._left_alone_until = asyncio.get_running_loop().time() + self._pause
        return found

    async def _ask_reader(self, order_uids: Sequence[str]) -> Mapping[str, bytes | Exception]:
        try:
            found = await self._reader.get(order_uids)
        except Unavailable as failure:
            self._reader_answers = False
            held = await self._held(order_uids)  # not all of them have come by the cache
            return {uid: held.get(uid, failure) for uid in order_uids}
        self._reader_answers = True
        if found:
            with suppress(Unavailable):  # the answer is known all the same
                await self._cache.put(found)
        return found

    def _reader_is_slow(self) -> None:
        if self._meanwhile is None or self._meanwhile.done():
            loop = asyncio.get_running_loop()
            self._meanwhile = loop.create_task(self._serve_meanwhile(), context=Context())

    async def _serve_meanwhile(self) -> None:
        """Time and again look in the cache for those who wait for a reader that is slow.

        Not all of them have come by the cache, and what they ask for may come to be held there.
        """
        while self._to_reader.is_slow:
            self._to_reader.tell(await self._held(self._to_reader.uids))
            await asyncio.sleep(self._slow)
