"""Erasure in memory."""

import pytest

from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.ports import Erasure
from tests.contracts.erasure import ErasureContract


class TestMemoryErasure(ErasureContract):
    @pytest.fixture
    def repository(self) -> MemoryOrderRepository:
        return MemoryOrderRepository()

    @pytest.fixture
    def erasure(
        self,
        repository: MemoryOrderRepository,
    ) -> Erasure:
        return MemoryErasure(repository)
