"""What the tests of the PostgreSQL adapter share."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.order_repository import PostgresOrderRepository


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[PostgresDatabase]:
    """An open pool on ``database_dsn``."""
    opened = PostgresDatabase(database_dsn, pool_max=4)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def order_repository(database: PostgresDatabase) -> PostgresOrderRepository:
    """A repository on ``database_dsn``."""
    return PostgresOrderRepository(database)


@pytest.fixture
async def admin(database_dsn: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A plain connection to ``database_dsn``, to look at it from outside."""
    async with await psycopg.AsyncConnection.connect(database_dsn, autocommit=True) as connection:
        yield connection
