"""The events of orders in memory."""

import pytest

from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_events import MemoryOrderEvents
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.ports import Erasure, OrderEvents
from tests.contracts.order_events import OrderEventsContract


class TestMemoryOrderEvents(OrderEventsContract):
    @pytest.fixture
    def repository(self) -> MemoryOrderRepository:
        return MemoryOrderRepository()

    @pytest.fixture
    def erasure(self, repository: MemoryOrderRepository) -> Erasure:
        return MemoryErasure(repository)

    @pytest.fixture
    def order_events(self, repository: MemoryOrderRepository) -> OrderEvents:
        return MemoryOrderEvents(repository)
