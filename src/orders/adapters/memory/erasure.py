"""Erases orders in this process' memory."""

import time
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import islice

from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.order.queries import Cursor
from orders.domain.order.rules import is_storable
from orders.domain.order.tombstones import Tombstone
from orders.domain.ports import Erasure


class MemoryErasure(Erasure):
    """Erases orders of a ``MemoryOrderRepository``."""

    def __init__(self, repository: MemoryOrderRepository) -> None:
        self._repository = repository

    async def forget(self, order_uids: Collection[str]) -> int:
        """See ``Erasure.forget``."""
        stored = 0
        first = max(time.time_ns() // 1_000, await self.latest_position() + 1)
        tombstones = self._repository.tombstones
        for position, uid in enumerate(sorted(filter(is_storable, set(order_uids))), first):
            stored += self._repository.remove(uid)
            tombstones.pop(uid, None)
            tombstones[uid] = position
            self._repository.note(uid)
        return stored

    async def latest_position(self) -> int:
        """See ``Erasure.latest_position``."""
        self._repository.require_available()
        return self._repository.latest_tombstone

    async def tombstones(self, after: int, limit: int) -> list[Tombstone]:
        """See ``Erasure.tombstones``."""
        self._repository.require_available()
        found = self._repository.tombstones.items()
        return list(islice((Tombstone(uid, at) for uid, at in found if at > after), limit))

    async def forgotten_among(self, order_uids: Collection[str]) -> frozenset[str]:
        """See ``Erasure.forgotten_among``."""
        self._repository.require_available()
        return frozenset(self._repository.tombstones.keys() & frozenset(order_uids))

    async def oldest(
        self, before: datetime, limit: int, after: Cursor | None = None
    ) -> Sequence[Cursor]:
        """See ``Erasure.oldest``."""
        self._repository.require_available()
        return [
            found
            for found in self._repository.oldest()
            if found.date_created < before and (after is None or _key(found) > _key(after))
        ][:limit]

    async def drop_tombstones(self, before: datetime, limit: int) -> int:
        """See ``Erasure.drop_tombstones``."""
        self._repository.require_available()
        bound = min(before.timestamp() * 1e6, await self.latest_position())
        old = [uid for uid, at in self._repository.tombstones.items() if at < bound][:limit]
        for uid in old:
            del self._repository.tombstones[uid]
        return len(old)


def _key(cursor: Cursor) -> tuple[datetime, bytes]:
    return cursor.date_created, cursor.order_uid.encode()
