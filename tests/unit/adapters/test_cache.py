"""The cache in memory."""

import pytest

from orders.adapters.memory.cache import MemoryCache
from orders.domain.errors import Unavailable
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
