"""Notices that a client has disconnected."""

import asyncio
from typing import Self

from orders.entrypoints.http.asgi_types import Receive


class Disconnection:
    """Whether a client has disconnected, during the block, after its body was received.

    ``watching`` is a task that ends when it has.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def __aenter__(self) -> Self:
        self.watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.watching.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def __call__(self) -> bool:
        """Whether it has disconnected."""
        return self.watching.done()
