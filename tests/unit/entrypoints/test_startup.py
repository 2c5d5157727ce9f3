"""Work in the background of a process."""

import asyncio
from contextlib import suppress

from orders.entrypoints.startup import in_background


async def test_work_that_loses_a_cancellation_is_cancelled_again() -> None:
    has_begun = asyncio.Event()

    async def lose_one() -> None:
        with suppress(asyncio.CancelledError):  # as a library that takes it for a failure
            has_begun.set()
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def run() -> None:
        async with in_background(lose_one()):
            await has_begun.wait()

    running = asyncio.create_task(run())
    done, _ = await asyncio.wait({running}, timeout=5)
    running.cancel()
    assert done
