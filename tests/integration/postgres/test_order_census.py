"""The census of the orders stored here."""

from collections.abc import Sequence

import pytest

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.erasure import PostgresErasure
from orders.adapters.postgres.order_census import PostgresOrderCensus
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.domain.intake.reading import read
from orders.domain.ports import OrderNumbers
from tests.builders import order_bytes
from tests.contracts.order_census import Make, OrderCensusContract


class TestPostgres(OrderCensusContract):
    @pytest.fixture
    def make(self, database: PostgresDatabase) -> Make:
        async def make(order_uids: Sequence[str]) -> PostgresOrderCensus:
            orders = [read(order_bytes(uid)).accepted[0].order for uid in order_uids]
            await PostgresOrderRepository(database).save_many(orders)
            return PostgresOrderCensus(database)

        return make

    async def test_forgotten_orders_do_not_count(
        self, make: Make, database: PostgresDatabase
    ) -> None:
        census = await make(["a", "b"])
        await PostgresErasure(database).forget(["a"])
        assert await census.numbers() == OrderNumbers({"2021-11-26": 1})
        assert [uids async for uids in census.uids(None, 0)] == [["b"]]
        assert list(await census.documents(["a", "b"])) == ["b"]
