"""From a thread of the client into the event loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVarTuple

_Arguments = TypeVarTuple("_Arguments")


def call_in_loop(
    loop: asyncio.AbstractEventLoop,
    function: Callable[[*_Arguments], object],
    *arguments: *_Arguments,
) -> None:
    """Run ``function`` in the loop, soon. Never raises: a loop that has closed wants no news."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *arguments)
