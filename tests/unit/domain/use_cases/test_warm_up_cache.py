"""A full cache from the start."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.errors import Unavailable
from orders.domain.order.document import encode
from orders.domain.use_cases.warm_up_cache import WarmUpCache
from tests.unit.domain.order.reference import REFERENCE, read_document, the_order

START = datetime(2024, 1, 1, tzinfo=UTC)
ORDERS = [
    msgspec.structs.replace(
        the_order(read_document(REFERENCE)), order_uid=uid, date_created=START + timedelta(days=n)
    )
    for n, uid in enumerate("abcde")
]
UIDS = list("abcde")


async def test_the_newest_are_in_it_the_newest_as_most_recent(
    repository: MemoryOrderRepository, cache: MemoryCache
) -> None:
    await repository.save_many(ORDERS)
    assert await WarmUpCache(repository, cache, 3)() == 3
    await cache.put({"x": b"x"})
    held = await cache.get(UIDS)
    assert held == {order.order_uid: encode(order) for order in ORDERS[3:]}


async def test_of_fewer_all_are_in_it(
    repository: MemoryOrderRepository, cache: MemoryCache
) -> None:
    await repository.save_many(ORDERS[:2])
    assert await WarmUpCache(repository, cache, 3)() == 2
    assert set(await cache.get(UIDS)) == {"a", "b"}


async def test_of_none_nothing_is_done(
    repository: MemoryOrderRepository, cache: MemoryCache
) -> None:
    cache.available = False
    assert await WarmUpCache(repository, cache, 3)() == 0


async def test_trouble_is_told(repository: MemoryOrderRepository, cache: MemoryCache) -> None:
    await repository.save_many(ORDERS)
    cache.available = False
    with pytest.raises(Unavailable):
        await WarmUpCache(repository, cache, 3)()
    cache.available, repository.available = True, False
    with pytest.raises(Unavailable):
        await WarmUpCache(repository, cache, 3)()
