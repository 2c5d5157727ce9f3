"""Reads that lead to several standbys, one of which is far behind."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.erasure import PostgresErasure
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.bootstrap import Container, build, open_all
from orders.config import Settings
from orders.domain.errors import NotFound, Unavailable
from orders.domain.order.events import Position
from orders.domain.order.queries import OrderQuery, View
from orders_dev import ports
from tests.contracts.order_repository import numbered, uids
from tests.integration.opened import opened
from tests.integration.postgres_fixtures import create_database, drop_database, migrate
from tests.integration.standby import Pair, Standby
from tests.waiting import until

GONE, KEPT = uids(numbered(2))
ALL = OrderQuery()


class Servers(Pair):
    """A primary, and two standbys: ``late`` replays what is committed an hour later."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.late = Standby(folder / "late", ports.choose(), self.primary)
        self.late.start()

    def stop(self) -> None:
        self.late.stop()
        super().stop()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    running = Servers(tmp_path_factory.mktemp("standbys"))
    yield running
    running.stop()


@pytest.fixture
async def dsn(servers: Servers) -> AsyncIterator[str]:
    """A database with two orders and an old tombstone, which ``late`` has as well."""
    dsn = create_database(servers.primary.dsn)
    await migrate(dsn)
    async with opened(PostgresDatabase(dsn, pool_max=2)) as database:
        await PostgresOrderRepository(database).save_many(numbered(2))
        await PostgresErasure(database).forget(["an earlier one"])
    await servers.standby.until_replayed()
    await servers.late.until_replayed()
    servers.late.delay("1h")
    yield dsn
    servers.late.delay("0")
    if not servers.standby.running:
        servers.standby.start()
    await servers.late.until_replayed()
    drop_database(servers.primary.dsn, dsn)


async def forget(servers: Servers, dsn: str) -> None:
    """Forget an order; ``late`` does not hear of it."""
    async with opened(PostgresDatabase(dsn, pool_max=2)) as database:
        await PostgresErasure(database).forget([GONE])
    await servers.standby.until_replayed()


def dsn_of(database: str, *standbys: Standby) -> str:
    """Leads to the first of these standbys that is up."""
    parts = [conninfo_to_dict(standby.dsn) for standby in standbys]
    return make_conninfo(
        standbys[0].dsn,
        dbname=conninfo_to_dict(database)["dbname"],
        host=",".join(str(part["host"]) for part in parts),
        port=",".join(str(part["port"]) for part in parts),
        target_session_attrs="prefer-standby",
    )


@asynccontextmanager
async def api(postgres_dsn: str, postgres_read_dsn: str | None = None) -> AsyncIterator[Container]:
    """The reads of an API process, without a shared cache."""
    container = build(
        Settings(
            postgres_dsn=postgres_dsn,
            postgres_read_dsn=postgres_read_dsn,
            kafka_bootstrap="broker.invalid:9092",
        ),
        "api",
    )
    databases = [container.database()]
    if postgres_read_dsn:
        databases.append(container.replica_database())
    async with open_all(*container.look_up_resources(), *databases):
        yield container


async def found(container: Container) -> set[str]:
    """What look-ups find, of both orders."""
    uids_found = set()
    for uid in (GONE, KEPT):
        try:
            await container.look_up()(uid)
            uids_found.add(uid)
        except NotFound:
            continue
    return uids_found


async def listed(container: Container) -> list[list[str]]:
    """What lists show: a page, one of summaries, and a stream."""
    orders = container.list_orders()
    pages = [await orders.page(OrderQuery(view=view), 9) for view in View]
    stream = [order async for chunk in orders.stream(ALL) for order in chunk]
    return [[order.order_uid for order in page.orders] for page in pages] + [uids(stream)]


async def test_of_two_replicas_the_one_that_is_read_has_forgotten(
    servers: Servers, dsn: str
) -> None:
    await forget(servers, dsn)
    async with api(dsn, dsn_of(dsn, servers.standby, servers.late)) as container:
        await container.follow_tombstones()()
        assert await found(container) == {KEPT}
        assert await listed(container) == [[KEPT]] * 3
        servers.standby.stop()
        await until_read_by(container.replica_database(), servers.late)
        assert await found(container) == {KEPT}
        assert await listed(container) == [[KEPT]] * 3


async def test_a_replica_that_has_forgotten_is_read(servers: Servers, dsn: str) -> None:
    await forget(servers, dsn)
    async with api(dsn, dsn_of(dsn, servers.standby)) as container:
        await container.follow_tombstones()()
        await container.database().close()  # so the primary cannot be asked
        assert await container.look_up()(KEPT)
        assert await listed(container) == [[KEPT]] * 3


async def test_what_a_process_knows_holds_where_an_older_standby_takes_over(
    servers: Servers, dsn: str
) -> None:
    async with api(dsn_of(dsn, servers.standby, servers.late)) as container:
        await container.follow_tombstones()()
        await forget(servers, dsn)
        assert await container.follow_tombstones()() == 1
        assert await found(container) == {KEPT}
        servers.standby.stop()
        await until_read_by(container.database(), servers.late)
        assert await found(container) == {KEPT}
        assert await listed(container) == [[KEPT]] * 3
        events, _ = await container.watch_orders()._read(Position(0, ""))
        assert GONE not in {event.order_uid for event in events if event.summary}


async def test_nothing_is_read_of_a_standby_that_lacks_more_than_a_process_remembers(
    servers: Servers, dsn: str
) -> None:
    await forget(servers, dsn)
    async with api(dsn_of(dsn, servers.standby, servers.late)) as container:
        await container.follow_tombstones()()  # the first call only reads the latest position
        servers.standby.stop()
        await until_read_by(container.database(), servers.late)
        for uid in (GONE, KEPT):
            with pytest.raises(Unavailable):
                await container.look_up()(uid)
        with pytest.raises(Unavailable):
            await listed(container)
        with pytest.raises(Unavailable):
            await container.watch_orders()._read(Position(0, ""))


async def until_read_by(database: PostgresDatabase, server: Standby) -> None:
    async def leads_there() -> bool:
        try:
            async with database.connection(1.0) as session:
                return session.info.port == server.port
        except Unavailable:
            return False

    await until(leads_there)
