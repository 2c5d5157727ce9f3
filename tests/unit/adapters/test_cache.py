"""The cache in memory, and what that in Redis does without a server."""

from typing import Any

import pytest

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.redis_lru.cache import RedisCache
from orders.domain.errors import Unavailable
from orders.domain.order.tombstones import Tombstone
from orders.domain.ports import Cache
from tests.contracts.cache import CacheContract, NewCache, check_against_model, document


async def make(capacity: int) -> Cache:
    return MemoryCache(capacity)


class TestMemoryCache(CacheContract):
    @pytest.fixture
    def new_cache(self) -> NewCache:
        return make

    async def test_while_it_is_down_every_call_raises_unavailable(self) -> None:
        cache = MemoryCache(3)
        await cache.put({"a": document("a")})
        cache.available = False
        with pytest.raises(Unavailable):
            await cache.get(["a"])
        with pytest.raises(Unavailable):
            await cache.put({"b": document("b")})
        with pytest.raises(Unavailable):
            await cache.touch(["a"])
        with pytest.raises(Unavailable):
            await cache.check()
        cache.available = True
        await cache.check()
        assert await cache.get(["a", "b"]) == {"a": document("a")}

    def test_does_as_a_plain_model_does(self) -> None:
        async def done(_: Cache) -> None: ...

        check_against_model(make, done)


class Watched(RedisCache):
    """Notes its position while a script runs, and may fail."""

    def __init__(self) -> None:
        super().__init__("redis://cache.invalid", 3, "prefix")
        self.during: list[int] = []
        self.failure: Exception | None = None

    async def _run(self, script: Any, arguments: Any, position: int = 0) -> Any:
        self.during.append(self.position)
        if self.failure:
            raise self.failure


async def test_look_ups_meanwhile_do_not_take_a_server_for_late() -> None:
    """They would empty it."""
    cache = Watched()
    await cache.forget([Tombstone("a", 10)], 0)
    assert (cache.during, cache.position) == ([0], 10)
    cache.failure = Unavailable("down")
    with pytest.raises(Unavailable):
        await cache.forget([Tombstone("b", 11)], 10)
    assert (cache.during, cache.position) == ([0, 10], 11)
