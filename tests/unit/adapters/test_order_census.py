"""The census in memory."""

from collections.abc import Sequence

import pytest

from orders.adapters.memory.order_census import MemoryOrderCensus
from tests.contracts.order_census import Make, OrderCensusContract, order


class TestMemory(OrderCensusContract):
    @pytest.fixture
    def make(self) -> Make:
        async def make(order_uids: Sequence[str], extra: int = 0) -> MemoryOrderCensus:
            return MemoryOrderCensus({uid: order(uid, extra) for uid in order_uids})

        return make
