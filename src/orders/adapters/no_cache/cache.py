"""A cache that keeps nothing: every order is read from the store."""

from collections.abc import Collection, Mapping

from orders.domain.ports import Cache


class NoCache(Cache):
    """Always empty, never away."""

    async def get(self, order_uids: Collection[str]) -> dict[str, bytes]:
        """Nothing."""
        del order_uids
        return {}

    async def put(self, documents: Mapping[str, bytes]) -> None:
        """Keep none of them."""

    async def touch(self, order_uids: Collection[str]) -> list[str]:
        """Ask for nothing: what is not kept would only be put in vain."""
        del order_uids
        return []
