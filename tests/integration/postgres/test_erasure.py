"""Erasure in PostgreSQL: on a plain server, through a pooler, and on Citus."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from orders.adapters.postgres import erasure as erasure_module
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.erasure import PostgresErasure
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.session import Pooler, Session
from orders.domain.order.queries import CURRENT, OrderQuery, View
from orders.domain.ports import Erasure, OrderRepository
from tests.contracts.erasure import ErasureContract
from tests.contracts.order_repository import numbered, order_of
from tests.integration.opened import opened
from tests.integration.pgbouncer import MISSING, PgBouncer, find


async def test_what_is_read_of_a_replica_says_which_tombstones_it_has_seen(
    database: PostgresDatabase,
) -> None:
    primary, erasure = PostgresOrderRepository(database), PostgresErasure(database)
    replica = PostgresOrderRepository(database, is_replica=True)
    await primary.save_many(numbered(3))
    for forgotten in ([], ["never"], ["uid-0000"], ["never"]):
        await erasure.forget(forgotten)
        latest = await erasure.latest_position()
        for repository, as_of in ((replica, latest), (primary, CURRENT)):
            assert (await repository.get(["uid-0000", "uid-0001"])).as_of == as_of
            for view in View:
                assert (await repository.page(OrderQuery(view=view), 1)).as_of == as_of


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

    async def test_orders_with_many_items_are_forgotten_a_few_at_a_time(
        self, repository: OrderRepository, erasure: Erasure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        transactions: list[list[str]] = []

        async def bury(session: Session, uids: list[str]) -> int:
            transactions.append(uids)
            return await original(session, uids)

        original = erasure_module._bury
        monkeypatch.setattr(erasure_module, "_bury", bury)
        monkeypatch.setattr(erasure_module, "_MAX_ITEMS", 5)
        counts = {"a": 2, "b": 3, "c": 1, "d": 9, "e": 0, "f": 5}
        await repository.save_many([order_of(uid, count=n) for uid, n in counts.items()])
        assert await erasure.forget([*counts, "never"]) == len(counts)
        assert transactions == [["a", "b"], ["c"], ["d"], ["e", "f", "never"]]
        assert await erasure.forgotten_among(list(counts)) == frozenset(counts)
        assert await repository.get(list(counts)) == {}


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
