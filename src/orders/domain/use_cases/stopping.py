"""Waits for work that may be stopped before it has ended."""

import asyncio
from collections.abc import Callable
from typing import Any

STOP_CHECK_SECONDS = 0.1


async def has_ended(work: asyncio.Future[Any], wants_stop: Callable[[], bool]) -> bool:
    """Wait for ``work``; returns False if a stop is wanted before."""
    while not wants_stop():
        if (await asyncio.wait([work], timeout=STOP_CHECK_SECONDS))[0]:
            return True
    return False
