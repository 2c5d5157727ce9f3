"""The repository in PostgreSQL, on a plain server and on Citus."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.session import Pooler
from orders.domain.ports import OrderRepository
from tests.contracts.order_repository import OrderRepositoryContract, check_any_orders


@asynccontextmanager
async def opened(dsn: str, pooler: Pooler = "session") -> AsyncIterator[OrderRepository]:
    database = PostgresDatabase(dsn, pool_max=4, pooler=pooler)
    await database.open()
    yield PostgresOrderRepository(database)
    await database.close()


class TestPostgresOrderRepository(OrderRepositoryContract):
    @pytest.fixture
    def dsn(self, database_dsn: str) -> str:
        return database_dsn

    @pytest.fixture
    async def repository(self, dsn: str) -> AsyncIterator[OrderRepository]:
        async with opened(dsn) as repository:
            yield repository

    @pytest.fixture
    async def reopened(self, dsn: str) -> AsyncIterator[OrderRepository]:
        async with opened(dsn) as repository:
            yield repository

    def test_any_orders(self, dsn: str) -> None:
        check_any_orders(lambda: opened(dsn))


class TestCitusOrderRepository(TestPostgresOrderRepository):
    @pytest.fixture
    def dsn(self, distributed_dsn: str) -> str:
        return distributed_dsn
