"""The repository in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.errors import Unavailable
from orders.domain.order.document import encode
from orders.domain.order.queries import OrderQuery
from orders.domain.ports import OrderRepository
from tests.contracts.order_repository import (
    OrderRepositoryContract,
    check_any_orders,
    order_of,
)


@asynccontextmanager
async def opened() -> AsyncIterator[OrderRepository]:
    yield MemoryOrderRepository()


class TestMemoryOrderRepository(OrderRepositoryContract):
    @pytest.fixture
    def repository(self) -> OrderRepository:
        return MemoryOrderRepository()

    @pytest.fixture
    def reopened(self, repository: OrderRepository) -> OrderRepository:
        return repository

    def test_any_orders(self) -> None:
        check_any_orders(opened)

    async def test_while_it_is_down_every_call_raises_unavailable(self) -> None:
        repository = MemoryOrderRepository()
        order = order_of("uid")
        await repository.save_many([order])
        repository.available = False
        for call in (
            repository.save_many([order_of("other")]),
            repository.save_many([]),
            repository.get(["uid"]),
            repository.get([]),
            repository.page(OrderQuery(), 1),
        ):
            with pytest.raises(Unavailable):
                await call
        repository.available = True
        assert await repository.get(["uid", "other"]) == {"uid": encode(order)}
