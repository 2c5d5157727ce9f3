"""Waiting for conditions, with a deadline."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.domain.errors import Unavailable
from orders.domain.ports import Dependency

Client = TypeVar("Client", KafkaMessageSource, KafkaProducerClient)


async def until(
    condition: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = 30.0
) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + seconds
    while True:
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        await asyncio.sleep(0.05)


async def works(dependency: Dependency) -> bool:
    """Whether it would do its work now."""
    try:
        async with asyncio.timeout(1):
            await dependency.check()
    except (Unavailable, TimeoutError):
        return False
    return True


@asynccontextmanager
async def opened(client: Client) -> AsyncIterator[Client]:
    """Open it, and close it afterwards."""
    await client.open()
    try:
        yield client
    finally:
        await client.close()
