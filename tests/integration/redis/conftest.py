"""Caches on the shared server under a prefix of each test's own, and servers of a test's own."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from orders.adapters.redis_lru.cache import RedisCache
from tests.integration.redis.own_server import OwnServer

OpenCache = Callable[..., Coroutine[Any, Any, RedisCache]]
"""Opens a cache: ``await open_cache(capacity, url=..., prefix=..., **options)``."""


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid4().hex}"


@pytest.fixture
async def redis(redis_url: str, prefix: str) -> AsyncIterator[Redis]:
    """A plain client of the shared server, to look at the cache from outside."""
    async with Redis.from_url(redis_url) as client:
        yield client
        # What a test leaves behind is recognised by its prefix.
        keys = [key async for key in client.scan_iter(match=f"*{prefix}*", count=1000)]
        if keys:
            await client.delete(*keys)


@pytest.fixture
async def open_cache(redis_url: str, prefix: str, redis: Redis) -> AsyncIterator[OpenCache]:
    """Opens caches; by default on the shared server and with the test's prefix."""
    async with AsyncExitStack() as opened:

        async def open_(capacity: int = 3, **options: Any) -> RedisCache:
            arguments: dict[str, Any] = {
                "url": redis_url,
                "prefix": prefix,
                "timeout": 5.0,
            } | options
            cache = RedisCache(capacity=capacity, **arguments)
            await cache.open()
            opened.push_async_callback(cache.close)
            return cache

        yield open_


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[OwnServer]:
    """A running server that belongs to the test."""
    server = OwnServer(tmp_path / "own server")
    server.start()
    yield server
    server.kill()
