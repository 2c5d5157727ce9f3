"""Drops forgotten orders from the caches of this process, and from the shared one."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from orders.domain.errors import OrdersError, Unavailable
from orders.domain.order.tombstones import Tombstone
from orders.domain.ports import Cache, Erasure, LocalCache

INTERVAL = 0.5
"""Seconds between two questions for new tombstones: all processes have them within a second."""

PAGE = 1_000
"""Tombstones that are read at once."""


class FollowTombstones:
    """Applies the tombstones that are new since the last call.

    Every process that uses ``shared`` does so, in the order of positions and without gaps: by that
    the cache recognizes what it has missed.

    The first call applies none: it tells the caches the latest position, and those that have missed
    any up to that are emptied.

    Attributes:
        has_told_shared: False if the shared cache was down the last time. It is emptied before it
            is used again.
    """

    def __init__(self, erasure: Erasure, shared: Cache, local: LocalCache) -> None:
        self._erasure = erasure
        self._shared = shared
        self._local = local
        self._position: int | None = None
        self.has_told_shared = True
        self._turn = asyncio.Lock()

    async def __call__(self) -> int:
        """Return how many tombstones were applied; the shared cache may be down.

        Raises:
            Unavailable: the store is down.
        """
        async with self._turn:
            if self._position is None:
                self._position = await self._erasure.latest_position()
                self._local.forget((), self._position)
                await self._tell_shared((), self._position)
                return 0
            applied = 0
            while found := await self._erasure.tombstones(self._position, PAGE):
                since, self._position = self._position, found[-1].position
                # First here: what this process puts into the shared cache comes from here.
                self._local.forget(found, since)
                await self._tell_shared(found, since)
                applied += len(found)
                if len(found) < PAGE:
                    break
            return applied

    async def _tell_shared(self, tombstones: Sequence[Tombstone], since: int) -> None:
        self.has_told_shared = False
        with suppress(Unavailable):
            await self._shared.forget(tombstones, since)
            self.has_told_shared = True

    async def run(self) -> None:
        """Call it again and again, until cancelled; a store that is down is asked again."""
        while True:
            with suppress(OrdersError):  # the health checks say why
                await self()
            await asyncio.sleep(INTERVAL)
