"""A role that may have fewer connections than the pool: all are served, in turn and quietly."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
import structlog

from orders.adapters.postgres.database import _WAIT_WHILE_UNREACHABLE, PostgresDatabase
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.domain.errors import Unavailable
from tests.contracts.order_repository import newest, numbered
from tests.integration.opened import opened
from tests.integration.postgres import roles
from tests.waiting import until

GRANTS = (
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT, INSERT ON schema_migrations, orders, delivery, payments, items TO {role}",
)


@pytest.fixture
async def limited(database_dsn: str) -> AsyncIterator[PostgresDatabase]:
    with roles.role(database_dsn, "CONNECTION LIMIT 2", GRANTS) as dsn:
        async with opened(PostgresDatabase(dsn, pool_max=8)) as database:
            yield database


async def test_parallel_readers_are_all_served(limited: PostgresDatabase) -> None:
    async def read() -> None:
        async with limited.connection(30) as session:
            await session.execute("SELECT pg_sleep(0.15)")

    await PostgresOrderRepository(limited).save_many(numbered(3))
    with structlog.testing.capture_logs() as lines:
        await asyncio.gather(*(read() for _ in range(20)))
        assert len(await newest(PostgresOrderRepository(limited), 3)) == 3
    assert not lines


async def test_a_caller_waits_although_no_more_connections_are_allowed(
    limited: PostgresDatabase,
) -> None:
    async def read() -> None:
        async with limited.connection(30):
            pass

    async with limited.connection(30), limited.connection(30):
        first = asyncio.create_task(read())  # makes the pool try to grow
        await until(lambda: limited._connect_failure is not None, "the limit is met")
        later = asyncio.create_task(read())
        await asyncio.wait({later}, timeout=2 * _WAIT_WHILE_UNREACHABLE)
        assert not later.done()
    await asyncio.gather(first, later)


async def test_who_waits_in_vain_is_told_of_the_limit(limited: PostgresDatabase) -> None:
    with structlog.testing.capture_logs() as lines:
        async with limited.connection(30), limited.connection(30):
            with pytest.raises(Unavailable, match=r"are busy.*this user's limit on connections"):
                async with limited.connection(30, wait=1.0):
                    pass
    assert not lines


async def test_the_pool_grows_once_there_is_room(
    limited: PostgresDatabase, admin: psycopg.AsyncConnection
) -> None:
    async with limited.connection(30) as session, limited.connection(30):
        with pytest.raises(Unavailable):
            async with limited.connection(30, wait=1.0):
                pass
        role = session.info.user
        await admin.execute(f"ALTER ROLE {role} CONNECTION LIMIT 3".encode())
        async with asyncio.timeout(10):
            while True:
                try:
                    async with limited.connection(30):
                        break
                except Unavailable:
                    continue
