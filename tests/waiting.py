"""Waiting for conditions, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from drills.waiting import wait_until
from orders.domain.errors import Unavailable
from orders.domain.ports import Dependency

__all__ = ["most_in_a_turn", "says", "settle", "until", "wait_until", "works"]


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


async def most_in_a_turn(number: Callable[[], int]) -> int:
    """Run many turns of the event loop; returns by how much a number grew in one, at most."""
    most = before = 0
    for _ in range(1000):
        now = number()
        most, before = max(most, now - before), now
        await asyncio.sleep(0)
    return most


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
