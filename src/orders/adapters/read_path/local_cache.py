"""A cache in this process's memory, in front of the shared one."""

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from itertools import islice
from sys import getsizeof
from typing import Protocol

import structlog

from orders.domain.errors import Unavailable
from orders.domain.order.document import hex_digest
from orders.domain.order.tombstones import RecentTombstones, Tombstone
from orders.domain.ports import Cache, CachedDocument, LocalCache
from orders.metrics import LOOKUPS

OVERHEAD = 260
"""Bytes of memory that an entry takes besides its uid and its document: its digest, its places in
the table and in the queue, and what the allocator adds."""

_MAX_SHARE = 1 / 8
"""A document that takes more than this share of the memory is not kept."""

MOST_SPARED = 1_000
"""Used entries that are queued again at a time: with a million of them it would take 0.2 s."""

PUT_BYTES = 1_048_576
"""Bytes after which a put to the shared cache ends: with tens of megabytes, which a flush may have,
it would be taken for down."""

_FLUSH_INTERVAL = 0.25

log = structlog.get_logger(__name__)


class ReadCache(Protocol):
    """The cache that a reader fills with the documents that it has read.

    ``recent``: the tombstones that it was told.
    """

    recent: RecentTombstones

    @abstractmethod
    def keep(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        """Keep documents that came from the shared cache; ``as_of`` as in ``Cache.put``."""

    @abstractmethod
    async def put(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        """Keep documents, and have them put into the shared cache.

        Raises:
            Unavailable: they had to be put there at once, and it is down.
        """


class _Entry(CachedDocument, gc=False):
    # Without a reference to anything but bytes and numbers, so that the garbage collector has no
    # entry to traverse however many there are.
    generation: int  # in which it was used last; 0: not since it was queued


class BoundedLocalCache(LocalCache, ReadCache):
    """Keeps the documents used lately, up to a number of bytes.

    The first in the queue gives way, unless it was used since it was queued: then it is queued
    again (CLOCK). So a hit does not write to other entries, which the CPU's caches may lack.

    Orders never change, so entries become stale only if they are forgotten. Uses here are reported
    to ``shared`` in flushes: at once after a pause, then a few times a second. A flush touches the
    documents that were used, and puts those that ``shared`` lacks. So no caller waits for a put,
    and documents beyond the capacity of ``shared`` are not sent.

    Only the first use in a generation is noted. A generation ends with a flush, or when as many
    documents were used in it as ``shared`` can hold.

    Args:
        shared: the cache that all processes share.
        max_bytes: memory for the entries, overhead included.
        capacity: the capacity of ``shared``, in documents; no more are flushed at a time.
        flush_interval: least seconds between two flushes.
    """

    def __init__(
        self,
        shared: Cache,
        max_bytes: int,
        capacity: int,
        *,
        flush_interval: float = _FLUSH_INTERVAL,
    ) -> None:
        self.recent = RecentTombstones()
        self._shared = shared
        self._max_bytes = max_bytes
        self._capacity = capacity
        self._flush_interval = flush_interval
        self._entries: dict[str, _Entry] = {}
        self._queue: deque[str] = deque()  # all entries, and some that were forgotten
        self._bytes = 0
        self._generation = 1
        self._used: list[str] = []  # in this generation
        self._used_before: list[str] = []  # in the one before, if it is not flushed yet
        self._hits, self._misses = LOOKUPS.cell("local", "hit"), LOOKUPS.cell("local", "miss")
        self._is_dirty = False
        self._is_open = False
        self._flushing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start flushing uses to ``shared``."""
        self._is_open = True
        self._generation += 1  # otherwise what was used before would not schedule a flush

    async def close(self) -> None:
        """Stop flushing."""
        self._is_open = False
        if flushing := self._flushing:
            flushing.cancel()
            with suppress(asyncio.CancelledError):
                await flushing
        self._flushing = None  # a task cancelled before it started has not reset it
        self._is_dirty = False

    def peek(self, order_uid: str) -> CachedDocument | None:
        """See ``LocalCache.peek``; counts as a use."""
        entry = self._entries.get(order_uid)
        if entry is None:
            self._misses[0] += 1
            return None
        self._hits[0] += 1
        if entry.generation != self._generation:
            entry.generation = self._generation
            self._note_use(order_uid)
            if not entry.digest:
                entry.digest = hex_digest(entry.document)
        return entry

    def forget(self, tombstones: Sequence[Tombstone], since: int) -> None:
        """See ``LocalCache.forget``."""
        if not self.recent.note(tombstones, since):
            self._entries.clear()
            self._queue.clear()
            self._bytes = 0
        for tombstone in tombstones:
            self._drop(tombstone.order_uid)
        if len(self._queue) > 2 * len(self._entries) + MOST_SPARED:
            left = [uid for uid in dict.fromkeys(self._queue) if uid in self._entries]
            self._queue.clear()
            self._queue.extend(left)

    def keep(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        """See ``ReadCache.keep``; documents that are too large are skipped."""
        for uid, document in self._may_be_kept(documents, as_of).items():
            self._keep(uid, document)

    async def put(self, documents: Mapping[str, bytes], as_of: int = 0) -> None:
        """See ``ReadCache.put``; only documents that are too large to keep here are put at once."""
        documents = self._may_be_kept(documents, as_of)
        large = {uid: doc for uid, doc in documents.items() if not self._keep(uid, doc)}
        for uid in documents:
            if uid not in large:
                self._note_use(uid)
        if large:
            await self._shared.put(large, as_of)

    def _may_be_kept(self, documents: Mapping[str, bytes], as_of: int) -> Mapping[str, bytes]:
        if not self.recent.reach_back_to(as_of):
            return {}
        return self.recent.without_forgotten(documents, as_of)

    def _drop(self, uid: str) -> None:
        if former := self._entries.pop(uid, None):
            self._bytes -= _size(uid, former.document)

    def _keep(self, uid: str, document: bytes) -> bool:
        """Keep a document; False if it is too large."""
        kept = self._entries.get(uid)
        if kept is not None and kept.document == document:
            return True
        self._drop(uid)
        size = _size(uid, document)
        if size > self._max_bytes * _MAX_SHARE:
            return False
        while self._bytes + size > self._max_bytes:
            self._evict()
        self._entries[uid] = _Entry(document, b"", 0)
        self._queue.append(uid)
        self._bytes += size
        return True

    def _evict(self) -> None:
        """Drop the first entry that was not used; where very many were used, one of them."""
        uid = ""
        for _ in range(MOST_SPARED):
            uid = self._queue.popleft()
            entry = self._entries.get(uid)
            if entry is None:
                continue
            if not entry.generation:
                break
            entry.generation = 0
            self._queue.append(uid)
        self._drop(uid)

    def _note_use(self, uid: str) -> None:
        self._used.append(uid)
        if len(self._used) == self._capacity:
            self._used_before, self._used = self._used, []
            self._generation += 1
        if not self._is_dirty:
            self._schedule_flush()

    def _schedule_flush(self) -> None:
        if not self._is_open:
            return
        self._is_dirty = True
        if self._flushing is None:
            # With its own context, so that its log lines do not carry this request's id.
            loop = asyncio.get_running_loop()
            self._flushing = loop.create_task(self._flush_while_dirty(), context=Context())

    async def _flush_while_dirty(self) -> None:
        try:
            while self._is_dirty:
                with suppress(Unavailable):  # the shared cache is down, so it needs no news
                    await self._flush()
                await asyncio.sleep(self._flush_interval)
        except Exception:
            log.exception("unforeseen error")
        finally:
            self._flushing = None
            # Otherwise no later use would schedule a flush.
            self._is_dirty = False
            self._generation += 1

    async def _flush(self) -> None:
        self._is_dirty = False
        used = self._last_used()
        self._used, self._used_before = [], []
        self._generation += 1
        missing = await self._shared.touch(used)
        documents: dict[str, bytes] = {}
        size = 0
        for number, uid in enumerate(missing, 1):
            if (entry := self._entries.get(uid)) is not None:
                documents[uid] = entry.document
                size += len(entry.document)
            if documents and (size > PUT_BYTES or number == len(missing)):
                # What was forgotten is dropped here before ``shared`` learns of it.
                await self._shared.put(documents, self._shared.position)
                documents, size = {}, 0

    def _last_used(self) -> list[str]:
        """The uids used since the last flush, most recent last, at most ``capacity``."""
        latest_first = dict.fromkeys(reversed(self._used_before + self._used))
        return list(islice(latest_first, self._capacity))[::-1]


def _size(uid: str, document: bytes) -> int:
    return getsizeof(uid) + getsizeof(document) + OVERHEAD
