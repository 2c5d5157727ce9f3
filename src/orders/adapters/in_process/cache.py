"""A cache in this process's own memory, in front of the one that all processes share."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping
from contextlib import suppress
from contextvars import Context
from sys import getsizeof

import structlog

from orders.domain.errors import Unavailable
from orders.domain.order.document import hex_digest
from orders.domain.ports import AtHand, Cache, CachedDocument

OVERHEAD = 400
"""Bytes that an entry takes besides its uid and its document, as measured."""

_LARGEST_SHARE = 8
"""A document that takes more than this part of all the room is not kept here."""

_PAUSE_SECONDS = 0.25

log = structlog.get_logger(__name__)


class _Entry(CachedDocument, gc=False):
    size: int
    used: int  # the round in which it was used last


class InProcessCache(Cache, AtHand):
    """Keeps the documents that were used last, up to a number of bytes; asks ``cache`` for others.

    Orders never change, so what is kept here stays right, whatever becomes of ``cache``. That one
    learns of the uses here afterwards: at once when nothing was used for a while, then a few times
    a second, all of it in two calls: what was used is touched, and what it does not hold of that is
    put. So nobody waits for a put, and what its capacity would push out again does not travel.

    Args:
        cache: the one that is shared.
        max_bytes: room for entries, with all that they take.
        capacity: that of ``cache``, in documents; what was used before as many others is not told.
        pause: seconds between two tellings, at least.
    """

    def __init__(
        self, cache: Cache, max_bytes: int, capacity: int, *, pause: float = _PAUSE_SECONDS
    ) -> None:
        self._cache = cache
        self._max_bytes = max_bytes
        self._capacity = capacity
        self._pause = pause
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # least recently used first
        self._bytes = 0
        self._round = 0
        self._untold = False
        self._is_open = False
        self._telling: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """From now on tell ``cache`` what is used."""
        self._is_open = True

    async def close(self) -> None:
        """Tell nothing any more."""
        self._is_open = False
        if telling := self._telling:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling

    def at_hand(self, order_uid: str) -> CachedDocument | None:
        """See ``AtHand.at_hand``; a use like any other."""
        entry = self._use(order_uid)
        if entry is not None and not entry.digest:
            entry.digest = hex_digest(entry.document)
        return entry

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """See ``Cache.get``; a shared cache that is away is as good as an empty one.

        So what is read elsewhere then is put, and held here.
        """
        found: dict[str, bytes] = {}
        missing: list[str] = []
        for uid in order_uids:
            entry = self._use(uid)
            if entry is None:
                missing.append(uid)
            else:
                found[uid] = entry.document
        if missing:
            with suppress(Unavailable):
                shared = await self._cache.get(missing)
                for uid, document in shared.items():
                    self._keep(uid, document)
                found |= shared
        return found

    async def put(self, documents: Mapping[str, bytes]) -> None:
        """See ``Cache.put``; raises Unavailable only for documents that are too large to keep here.

        ``cache`` gets the others later.
        """
        large = {uid: doc for uid, doc in documents.items() if not self._keep(uid, doc)}
        if len(large) < len(documents):
            self._tell_soon()
        if large:
            await self._cache.put(large)

    async def touch(self, order_uids: Collection[str]) -> list[str]:
        """See ``Cache.touch``."""
        missing = [uid for uid in order_uids if self._use(uid) is None]
        return await self._cache.touch(missing) if missing else []

    def _use(self, uid: str) -> _Entry | None:
        entry = self._entries.get(uid)
        if entry is not None:
            self._entries.move_to_end(uid)
            entry.used = self._round
            if not self._untold:
                self._tell_soon()
        return entry

    def _keep(self, uid: str, document: bytes) -> bool:
        """Keep it as the most recently used; False when it is too large for that."""
        if former := self._entries.pop(uid, None):
            self._bytes -= former.size
        size = getsizeof(uid) + getsizeof(document) + OVERHEAD
        if size * _LARGEST_SHARE > self._max_bytes:
            return False
        self._entries[uid] = _Entry(document, b"", size, self._round)
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= oldest.size
        return True

    def _tell_soon(self) -> None:
        if not self._is_open:
            return
        self._untold = True
        if self._telling is None:
            # In a context of its own: log lines of it are not those of the request that began it.
            self._telling = asyncio.get_running_loop().create_task(self._tell(), context=Context())

    async def _tell(self) -> None:
        """Tell until nothing is used any more."""
        try:
            while self._untold:
                with suppress(Unavailable):  # it would have been of use to nobody
                    await self._tell_once()
                await asyncio.sleep(self._pause)
        except Exception:
            log.exception("unforeseen error")
        finally:
            self._telling = None
            self._untold = False  # else no later use would begin anew

    async def _tell_once(self) -> None:
        self._untold = False
        used = self._used_in_this_round()
        self._round += 1
        missing = await self._cache.touch(used)
        documents = {
            uid: entry.document for uid in missing if (entry := self._entries.get(uid)) is not None
        }
        if documents:
            await self._cache.put(documents)

    def _used_in_this_round(self) -> list[str]:
        """As many as are worth telling, the last used last."""
        used: list[str] = []
        for uid, entry in reversed(self._entries.items()):
            if entry.used != self._round or len(used) == self._capacity:
                break
            used.append(uid)
        used.reverse()
        return used
