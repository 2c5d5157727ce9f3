"""Behind a pooler of transactions: every statement may run on another connection."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from orders.adapters.postgres.inspection import PostgresInspection
from orders.adapters.postgres.session import PLANNING, Pooler
from orders.domain.errors import OrdersError
from orders.domain.ports import Finding, OrderRepository
from tests.contracts.inspection import found
from tests.contracts.order_repository import (
    OrderRepositoryContract,
    check_any_orders,
    numbered,
    uids,
)
from tests.integration.pgbouncer import MISSING, PgBouncer, find
from tests.integration.postgres.test_order_repository import repository_at

TRANSACTION: Pooler = "transaction"


@pytest.fixture
def bouncer(database_dsn: str, tmp_path: Path) -> Iterator[PgBouncer]:
    if find() is None:
        pytest.skip(MISSING)
    with PgBouncer(database_dsn, tmp_path) as running:
        yield running


@pytest.fixture
async def configured(bouncer: PgBouncer, database_dsn: str) -> PgBouncer:
    """The same, after the statements that `orders doctor` prints."""
    finding = found(await look(bouncer.dsn, TRANSACTION), "pooler")
    assert finding.state == "warning"
    with psycopg.connect(database_dsn, autocommit=True) as admin:
        for statement in finding.advice.removeprefix("run: ").split("; "):
            admin.execute(statement.encode())
    bouncer.stop()  # its connections have the settings from before
    bouncer.start()
    return bouncer


@pytest.fixture
async def pooled(configured: PgBouncer) -> AsyncIterator[OrderRepository]:
    async with repository_at(configured.dsn, TRANSACTION) as repository:
        yield repository


class TestPooledOrderRepository(OrderRepositoryContract):
    @pytest.fixture
    def repository(self, pooled: OrderRepository) -> OrderRepository:
        return pooled

    @pytest.fixture
    async def reopened(self, configured: PgBouncer) -> AsyncIterator[OrderRepository]:
        async with repository_at(configured.dsn, TRANSACTION) as repository:
            yield repository

    def test_any_orders(self, configured: PgBouncer) -> None:
        check_any_orders(lambda: repository_at(configured.dsn, TRANSACTION))


async def settings_of_all_connections(dsn: str) -> set[tuple[str, ...]]:
    """The planner settings on each of PgBouncer's connections, which are held at the same time."""
    statement = "SELECT " + ", ".join(f"current_setting('{name}')" for name in PLANNING)
    connections = [await psycopg.AsyncConnection.connect(dsn) for _ in range(3)]
    try:
        return {
            await (await connection.execute(statement.encode())).fetchone() or ()
            for connection in connections
        }
    finally:
        for connection in connections:
            await connection.close()


async def test_it_leaves_no_settings_on_shared_connections(
    bouncer: PgBouncer, pooled: OrderRepository
) -> None:
    before = await settings_of_all_connections(bouncer.dsn)
    await asyncio.gather(*(pooled.save_many(numbered(5, f"a{n}")) for n in range(9)))
    await asyncio.gather(*(pooled.get([f"a{n}-0001"]) for n in range(9)))
    assert await settings_of_all_connections(bouncer.dsn) == before


async def look(dsn: str, pooler: Pooler) -> list[Finding]:
    return list(await PostgresInspection(dsn, 8, pooler).inspect())


async def test_it_is_recognized(bouncer: PgBouncer, database_dsn: str) -> None:
    before = await settings_of_all_connections(bouncer.dsn)
    finding = found(await look(bouncer.dsn, "session"), "pooler")
    assert finding.state == "warning"
    assert "ORDERS_POSTGRES_POOLER=transaction" in finding.advice
    assert await settings_of_all_connections(bouncer.dsn) == before
    assert "pooler" not in {each.what for each in await look(database_dsn, "session")}


async def test_settings_of_the_role_are_heeded(configured: PgBouncer) -> None:
    assert found(await look(configured.dsn, TRANSACTION), "pooler").state == "ok"


async def test_after_a_restart_of_the_pooler_it_goes_on(
    bouncer: PgBouncer, pooled: OrderRepository
) -> None:
    batch = numbered(9)
    await pooled.save_many(batch[:3])
    bouncer.stop()
    with pytest.raises(OrdersError):
        await pooled.save_many(batch[3:6])
    bouncer.start()
    async with asyncio.timeout(20):
        while True:
            try:
                await pooled.save_many(batch)
                break
            except OrdersError:
                continue
    assert sorted(await pooled.get(uids(batch))) == uids(batch)
