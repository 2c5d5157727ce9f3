"""Forgets single orders, on behalf of a person."""

from collections.abc import Collection
from itertools import islice

from orders.domain.ports import Erasure
from orders.domain.use_cases.follow_tombstones import FollowTombstones

CHUNK = 500
"""Orders that are forgotten at once."""


class ForgetOrders:
    """Deletes orders from the store and the caches, and keeps them from being stored again."""

    def __init__(self, erasure: Erasure, follow: FollowTombstones) -> None:
        self._erasure = erasure
        self._follow = follow

    async def __call__(self, order_uids: Collection[str]) -> int:
        """Forget these orders, whether or not they are stored; returns how many were.

        The caches of this process and the shared one have dropped them afterwards; other processes
        do within a second.

        Raises:
            Unavailable: the store is down; repeating it is safe.
        """
        await self._follow()
        stored = 0
        uids = iter(dict.fromkeys(order_uids))
        while chunk := list(islice(uids, CHUNK)):
            stored += await self._erasure.forget(chunk)
            await self._follow()
        return stored
