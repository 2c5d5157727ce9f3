"""Calls from the client's threads into the event loop."""

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
    """Schedule ``function`` in the loop from another thread; does nothing if the loop is closed."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *arguments)
