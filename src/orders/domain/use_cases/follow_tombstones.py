"""Drops forgotten orders from what this process keeps, and from the shared cache."""

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from orders.domain.errors import OrdersError, Unavailable
from orders.domain.order.tombstones import Tombstone
from orders.domain.ports import Cache, Erasure

INTERVAL = 0.5
"""Seconds between two questions for new tombstones: all processes have them within a second."""

PAGE = 1_000
"""Tombstones that are read at once."""


class KeepsOrders(Protocol):
    """A part of this process that keeps orders, or something of them, such as ``LocalCache``."""

    @abstractmethod
    def forget(self, tombstones: Sequence[Tombstone], since: int) -> None:
        """See ``LocalCache.forget``."""


class FollowTombstones:
    """Applies the tombstones that are new since the last call.

    Every process that uses ``shared`` does so, in the order of positions and without gaps: by that
    the cache recognizes what it has missed.

    The first call applies none: it tells all who keep orders the latest position, and those that
    have missed any up to that drop everything.

    Attributes:
        has_told_shared: False if the shared cache was down the last time. It is emptied before it
            is used again.
    """

    def __init__(self, erasure: Erasure, shared: Cache, *local: KeepsOrders) -> None:
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
                await self._tell_all((), self._position)
                return 0
            applied = 0
            while found := await self._erasure.tombstones(self._position, PAGE):
                since, self._position = self._position, found[-1].position
                await self._tell_all(found, since)
                applied += len(found)
                if len(found) < PAGE:
                    break
            return applied

    async def _tell_all(self, tombstones: Sequence[Tombstone], since: int) -> None:
        # First here: what this process puts into the shared cache comes from here.
        for each in self._local:
            each.forget(tombstones, since)
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
