"""The repository in PostgreSQL, on a plain server and on Citus."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
import pytest

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.read_sql import PAGE_BYTES, page_query
from orders.adapters.postgres.session import Pooler
from orders.domain.errors import Unavailable
from orders.domain.order.document import StoredOrder, encode
from orders.domain.order.model import Order
from orders.domain.order.queries import OrderQuery
from orders.domain.ports import OrderRepository, SaveReport
from tests.contracts.order_repository import (
    NOON,
    OrderRepositoryContract,
    check_any_orders,
    numbered,
    order_of,
    uids,
)
from tests.integration.opened import opened


@asynccontextmanager
async def repository_at(dsn: str, pooler: Pooler = "session") -> AsyncIterator[OrderRepository]:
    async with opened(PostgresDatabase(dsn, pool_max=4, pooler=pooler)) as database:
        yield PostgresOrderRepository(database)


class TestPostgresOrderRepository(OrderRepositoryContract):
    @pytest.fixture
    def dsn(self, database_dsn: str) -> str:
        return database_dsn

    @pytest.fixture
    async def repository(self, dsn: str) -> AsyncIterator[OrderRepository]:
        async with repository_at(dsn) as repository:
            yield repository

    @pytest.fixture
    async def reopened(self, dsn: str) -> AsyncIterator[OrderRepository]:
        async with repository_at(dsn) as repository:
            yield repository

    def test_any_orders(self, dsn: str) -> None:
        check_any_orders(lambda: repository_at(dsn))

    async def test_a_page_of_large_orders_ends_early_and_leads_to_the_next(
        self, repository: OrderRepository
    ) -> None:
        size = PAGE_BYTES // 3
        orders = [
            order_of(f"large-{n}", NOON + timedelta(seconds=n), internal_signature="x" * size)
            for n in range(4)
        ] + [order_of("huge", NOON - timedelta(days=1), internal_signature="x" * (PAGE_BYTES + 1))]
        await repository.save_many(orders)
        pages: list[list[str]] = []
        after = None
        while not pages or after:
            page = await repository.page(OrderQuery(), 1000, after)
            pages.append(uids(page.orders))
            after = page.next
        assert pages == [["large-3", "large-2", "large-1"], ["large-0", "huge"]]

    async def test_a_page_may_have_more_orders_than_are_read_at_once(
        self, repository: OrderRepository
    ) -> None:
        orders = numbered(450)
        await repository.save_many(orders)
        first = await repository.page(OrderQuery(), 410)
        rest = await repository.page(OrderQuery(), 410, first.next)
        assert (len(first.orders), len(rest.orders), rest.next) == (410, 40, None)
        assert sorted(uids((*first.orders, *rest.orders))) == sorted(o.order_uid for o in orders)


async def test_items_are_read_of_few_orders_that_have_many(database_dsn: str) -> None:
    many = 7_000
    orders = [
        order_of(f"uid-{n:02}", NOON - timedelta(seconds=n), 0 if n == 1 else many)
        for n in range(11)
    ]
    async with repository_at(database_dsn) as repository:
        await repository.save_many(orders)
        found, after = list[StoredOrder](), None
        while not found or after:
            page = await repository.page(OrderQuery(), 1000, after)
            found, after = found + list(page.orders), page.next
    assert [order.document for order in found] == list(map(encode, orders))
    async with await psycopg.AsyncConnection.connect(database_dsn) as connection:
        query = page_query(OrderQuery(), 1000, None)
        await connection.execute(query.statement, query.parameters)
        cursor = await connection.execute(
            "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'items'"
        )
        # Once for the lengths of their texts, and once for the documents.
        assert 4 * many < (await cursor.fetchone() or [0])[0] < 7 * many


class Retrying(PostgresOrderRepository):
    """Two writers may wait for each other on different workers: Citus ends one, which retries."""

    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        while True:
            try:
                return await super().save_many(orders)
            except Unavailable as failure:
                if "deadlock" not in str(failure):
                    raise


class TestCitusOrderRepository(TestPostgresOrderRepository):
    @pytest.fixture
    def dsn(self, distributed_dsn: str) -> str:
        return distributed_dsn

    @pytest.fixture
    async def repository(self, dsn: str) -> AsyncIterator[OrderRepository]:
        async with opened(PostgresDatabase(dsn, pool_max=4)) as database:
            yield Retrying(database)
