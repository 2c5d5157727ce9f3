"""What the tests of the PostgreSQL adapter share."""

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from tests.integration.opened import opened
from tests.integration.tcp_proxy import TcpProxy


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[PostgresDatabase]:
    """An open pool on ``database_dsn``."""
    async with opened(PostgresDatabase(database_dsn, pool_max=4)) as database:
        yield database


@pytest.fixture
def order_repository(database: PostgresDatabase) -> PostgresOrderRepository:
    """A repository on ``database_dsn``."""
    return PostgresOrderRepository(database)


@pytest.fixture
async def admin(database_dsn: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A plain connection to ``database_dsn``, to look at it from outside."""
    async with await psycopg.AsyncConnection.connect(database_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def door(database_dsn: str) -> Iterator[TcpProxy]:
    """A proxy before the server of ``database_dsn``."""
    parts = conninfo_to_dict(database_dsn)
    with TcpProxy(str(parts["host"]), int(str(parts["port"]))) as proxy:
        yield proxy
