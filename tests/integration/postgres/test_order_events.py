"""The events of orders in PostgreSQL."""

import asyncio

import psycopg
import pytest

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.erasure import PostgresErasure
from orders.adapters.postgres.order_events import PostgresOrderEvents
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.writing import copy_orders
from orders.adapters.read_path.no_cache import NoCache
from orders.domain.errors import Unsupported
from orders.domain.ports import Erasure, OrderEvents, OrderRepository
from orders.domain.use_cases.follow_tombstones import FollowTombstones
from orders.domain.use_cases.forget_orders import ForgetOrders
from orders.domain.use_cases.watch_orders import WatchOrders
from orders.entrypoints.startup import in_background
from tests.contracts.order_events import OrderEventsContract, until_told
from tests.contracts.order_repository import numbered, order_of
from tests.integration.opened import opened
from tests.waiting import settle


class TestPostgresOrderEvents(OrderEventsContract):
    @pytest.fixture
    def repository(self, order_repository: PostgresOrderRepository) -> OrderRepository:
        return order_repository

    @pytest.fixture
    def erasure(self, database: PostgresDatabase) -> Erasure:
        return PostgresErasure(database)

    @pytest.fixture
    def order_events(self, database: PostgresDatabase) -> OrderEvents:
        return PostgresOrderEvents(database)

    async def test_a_transaction_that_commits_later_is_not_skipped(
        self, database: PostgresDatabase, repository: OrderRepository, order_events: OrderEvents
    ) -> None:
        begin = await order_events.latest_position()
        async with database.connection(30) as session, session.transaction():
            await copy_orders(session, [order_of("began first")])
            await repository.save_many([order_of("committed first")])
            assert "committed first" in await repository.get(["committed first"])
            assert not (await order_events.events(begin, 10)).events
            latest = await order_events.latest_position()
        told = [event.order_uid for event in await until_told(order_events, begin, 2)]
        assert told == ["began first", "committed first"]
        assert len(await until_told(order_events, latest, 2)) == 2

    async def test_what_was_forgotten_is_not_told_while_a_transaction_holds_up_its_event(
        self,
        database: PostgresDatabase,
        repository: OrderRepository,
        erasure: Erasure,
        order_events: OrderEvents,
    ) -> None:
        watch = WatchOrders(order_events, max_listeners=2)
        forget = ForgetOrders(erasure, FollowTombstones(erasure, NoCache(), watch))
        await forget([])
        listener = await watch.open()
        start = listener.position
        async with in_background(watch.run()), asyncio.timeout(30):
            await repository.save_many([order_of("gone")])
            [event] = await listener.next()
            assert event.summary
            async with database.connection(30) as session, session.transaction():
                await session.execute("SELECT pg_current_xact_id()")
                await forget(["gone"])
                resumed = asyncio.create_task((await watch.open(start)).next())
                await settle()
                assert not resumed.done()
            assert [(e.order_uid, e.summary) for e in await resumed] == [("gone", None)]

    async def test_orders_from_before_the_column_are_not_told(
        self, database_dsn: str, repository: OrderRepository, order_events: OrderEvents
    ) -> None:
        begin = await order_events.latest_position()
        await repository.save_many(numbered(3))
        async with await psycopg.AsyncConnection.connect(database_dsn, autocommit=True) as admin:
            await admin.execute("UPDATE orders SET stored_xid = NULL WHERE order_uid < 'uid-0002'")
        [event] = await until_told(order_events, begin, 1)
        assert event.order_uid == "uid-0002"

    async def test_copying_is_not_slowed_by_the_default(self, database_dsn: str) -> None:
        """COPY inserts row by row where a default is volatile."""
        async with await psycopg.AsyncConnection.connect(database_dsn) as admin:
            cursor = await admin.execute(
                "SELECT provolatile::text FROM pg_proc WHERE proname = 'pg_current_xact_id'"
            )
            assert await cursor.fetchone() == ("s",)


async def test_they_are_not_offered_with_citus(distributed_dsn: str) -> None:
    async with opened(PostgresDatabase(distributed_dsn, pool_max=1)) as database:
        with pytest.raises(Unsupported, match="Citus"):
            await PostgresOrderEvents(database).latest_position()
