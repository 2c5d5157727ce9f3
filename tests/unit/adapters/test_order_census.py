"""The census in memory."""

from collections.abc import Sequence

import pytest

from orders.adapters.memory.order_census import MemoryOrderCensus
from tests.builders import order_bytes
from tests.contracts.order_census import Make, OrderCensusContract


class TestMemory(OrderCensusContract):
    @pytest.fixture
    def make(self) -> Make:
        async def make(order_uids: Sequence[str]) -> MemoryOrderCensus:
            return MemoryOrderCensus({uid: order_bytes(uid) for uid in order_uids})

        return make
