"""Waiting for one's turn, for a limited time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from orders.domain.errors import Overloaded


@asynccontextmanager
async def turn_within(
    seconds: float | None, reason: str, *turns: asyncio.Semaphore
) -> AsyncIterator[None]:
    """Wait for each of ``turns`` in their order, and hold them during the block.

    Raises:
        Overloaded: with ``reason``, if that takes longer than ``seconds``. None: any time.
    """
    async with AsyncExitStack() as held:
        try:
            async with asyncio.timeout(seconds):
                for turn in turns:
                    await held.enter_async_context(turn)
        except TimeoutError:
            raise Overloaded(reason) from None
        yield
