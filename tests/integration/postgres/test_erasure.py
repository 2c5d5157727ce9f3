"""Erasure in PostgreSQL: on a plain server, through a pooler, and on Citus."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.erasure import PostgresErasure
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.session import Pooler
from orders.domain.ports import Erasure, OrderRepository
from tests.contracts.erasure import ErasureContract
from tests.contracts.order_repository import order_of
from tests.integration.opened import opened
from tests.integration.pgbouncer import MISSING, PgBouncer, find


class TestPostgresErasure(ErasureContract):
    pooler: Pooler = "session"

    @pytest.fixture
    def dsn(self, database_dsn: str) -> str:
        return database_dsn

    @pytest.fixture
    async def opened(self, dsn: str) -> AsyncIterator[PostgresDatabase]:
        async with opened(PostgresDatabase(dsn, pool_max=4, pooler=self.pooler)) as database:
            yield database

    @pytest.fixture
    def repository(self, opened: PostgresDatabase) -> OrderRepository:
        return PostgresOrderRepository(opened)

    @pytest.fixture
    def erasure(self, opened: PostgresDatabase) -> Erasure:
        return PostgresErasure(opened)

    async def test_nothing_but_the_uid_is_left(
        self, dsn: str, repository: OrderRepository, erasure: Erasure
    ) -> None:
        await repository.save_many([order_of("uid", count=3)])
        assert await erasure.forget(["uid"]) == 1
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
            for table in ("delivery", "payments", "items"):
                cursor = await admin.execute(f"SELECT FROM {table}".encode())
                assert await cursor.fetchall() == []
            cursor = await admin.execute(
                "SELECT to_jsonb(o) - '{order_uid,forgotten_at,date_created,stored_xid}'::text[],"
                " date_created = '-infinity' FROM orders o"
            )
            [(rest, has_no_date)] = await cursor.fetchall()
        assert set(rest.values()) <= {"", 0}
        assert has_no_date


class TestCitusErasure(TestPostgresErasure):
    @pytest.fixture
    def dsn(self, distributed_dsn: str) -> str:
        return distributed_dsn


class TestPooledErasure(TestPostgresErasure):
    """By way of a pooler in transaction mode."""

    pooler: Pooler = "transaction"

    @pytest.fixture
    def dsn(self, database_dsn: str, tmp_path: Path) -> Iterator[str]:
        if find() is None:
            pytest.skip(MISSING)
        with PgBouncer(database_dsn, tmp_path) as running:
            yield running.dsn
