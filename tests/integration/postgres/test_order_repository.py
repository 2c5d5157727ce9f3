"""The repository in PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.domain.ports import OrderRepository
from tests.contracts.order_repository import OrderRepositoryContract, check_any_orders


class TestPostgresOrderRepository(OrderRepositoryContract):
    @pytest.fixture
    def repository(self, order_repository: PostgresOrderRepository) -> OrderRepository:
        return order_repository

    @pytest.fixture
    async def reopened(self, database_dsn: str) -> AsyncIterator[OrderRepository]:
        database = PostgresDatabase(database_dsn, pool_max=2)
        await database.open()
        yield PostgresOrderRepository(database)
        await database.close()

    def test_any_orders(self, database_dsn: str) -> None:
        @asynccontextmanager
        async def opened() -> AsyncIterator[OrderRepository]:
            database = PostgresDatabase(database_dsn, pool_max=2)
            await database.open()
            yield PostgresOrderRepository(database)
            await database.close()

        check_any_orders(opened)
