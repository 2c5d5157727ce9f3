"""Opens what a test uses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from orders.bootstrap import Resource, open_all

Opened = TypeVar("Opened", bound=Resource)


@asynccontextmanager
async def opened(resource: Opened) -> AsyncIterator[Opened]:
    """Open it for a block, also for one that fails.

    The event loop would wait for ever for a pool of PostgreSQL that is left open: its tasks ignore
    that they are cancelled.
    """
    async with open_all(resource):
        yield resource
