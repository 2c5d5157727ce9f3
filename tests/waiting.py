"""Waiting for conditions, with a deadline."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from drills.waiting import wait_until
from orders.domain.errors import Unavailable
from orders.domain.ports import Dependency
from orders.entrypoints.startup import in_background

__all__ = ["others_have_turns", "says", "settle", "until", "wait_until", "works"]


async def until(
    condition: Callable[[], bool | Awaitable[bool]], what: str = "it", seconds: float = 30.0
) -> None:
    """Wait until ``condition`` holds; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        await asyncio.sleep(0.002)


async def settle() -> None:
    """Run the event loop until everything that needs no I/O and no time has happened."""
    for _ in range(100):
        await asyncio.sleep(0)


@asynccontextmanager
async def others_have_turns() -> AsyncIterator[None]:
    """Check that the event loop serves others during the block, which has work for it."""
    turns = 0

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    try:
        async with in_background(somebody_else()):
            yield
    finally:
        assert turns > 10


async def works(dependency: Dependency) -> bool:
    """Whether a check of it succeeds now."""
    try:
        async with asyncio.timeout(1):
            await dependency.check()
    except (Unavailable, TimeoutError):
        return False
    return True


async def says(dependency: Dependency, reason: str) -> bool:
    """Whether a check of it fails now with this reason."""
    try:
        await dependency.check()
    except Unavailable as error:
        return reason in str(error)
    return False
