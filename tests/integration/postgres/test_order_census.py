"""The census of the orders stored here, and of those of the old service."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import pytest

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.erasure import PostgresErasure
from orders.adapters.postgres.legacy_orders import LegacyOrders, open_legacy_orders
from orders.adapters.postgres.order_census import PostgresOrderCensus
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.domain.intake.reading import read
from orders.domain.ports import OrderNumbers
from tests.contracts.order_census import Make, OrderCensusContract, documents, order
from tests.integration import old_service


class TestLegacy(OrderCensusContract):
    @pytest.fixture
    async def make(self, empty_database_dsn: str) -> AsyncIterator[Make]:
        dsn = empty_database_dsn
        async with AsyncExitStack() as stack:

            async def make(order_uids: Sequence[str], extra: int = 0) -> LegacyOrders:
                old_service.make_tables(dsn)
                old_service.fill(dsn, 1, len(order_uids))
                old_service.lengthen(dsn, extra)
                old_service.rename(dsn, order_uids)
                return await stack.enter_async_context(open_legacy_orders(dsn))

            yield make

    async def test_orders_stored_in_part_are_only_counted(
        self, make: Make, empty_database_dsn: str
    ) -> None:
        census = await make(["a", "b", "c"])
        old_service.execute(
            empty_database_dsn,
            "DELETE FROM delivery WHERE order_uid = 'a';"
            " DELETE FROM payments WHERE order_uid = 'b'",
        )
        assert await census.numbers() == OrderNumbers({"2021-11-26": 1}, incomplete=2)
        for sample in (None, 5):
            assert [uids async for uids in census.uids(sample, 0)] == [["c"]]
        assert await census.known(["a", "b", "c"]) == {"c"}


class TestPostgres(OrderCensusContract):
    @pytest.fixture
    def make(self, database: PostgresDatabase) -> Make:
        async def make(order_uids: Sequence[str], extra: int = 0) -> PostgresOrderCensus:
            orders = [read(order(uid, extra)).accepted[0].order for uid in order_uids]
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
        assert list(await documents(census, ["a", "b"])) == ["b"]
