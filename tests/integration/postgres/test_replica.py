"""Reads from a real standby."""

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from drills.servers import HarmedPostgres
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.inspection import ReplicaInspection
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.replica import REPLICA_TIMEOUTS, PostgresReplica
from orders.adapters.read_path.no_cache import NoCache
from orders.adapters.read_path.replica_reads import ReplicaReads
from orders.domain.errors import Degraded, Unavailable
from orders.domain.order.queries import OrderQuery
from tests.contracts.inspection import found
from tests.contracts.order_repository import numbered, uids
from tests.integration.postgres_fixtures import create_database, drop_database, migrate
from tests.integration.standby import Pair
from tests.waiting import until


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    running = Pair(tmp_path_factory.mktemp("replication"))
    yield running
    running.stop()


@pytest.fixture
async def dsns(pair: Pair) -> AsyncIterator[tuple[str, str]]:
    """A migrated database on both."""
    dsn = create_database(pair.primary.dsn)
    await migrate(dsn)
    replica = psycopg.conninfo.make_conninfo(
        pair.standby.dsn, dbname=psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    )
    await pair.standby.until_replayed()
    yield dsn, replica
    drop_database(pair.primary.dsn, dsn)


class Reads:
    def __init__(self, dsns: tuple[str, str]) -> None:
        self.first = PostgresDatabase(dsns[0], pool_max=2)
        self.second = PostgresDatabase(dsns[1], pool_max=2, timeouts=REPLICA_TIMEOUTS)
        self.primary = PostgresOrderRepository(self.first)
        self.replica = PostgresOrderRepository(self.second, is_replica=True)
        self.repository = ReplicaReads(self.primary, self.replica, NoCache())
        self.health = PostgresReplica(self.second)


@pytest.fixture
async def reads(dsns: tuple[str, str]) -> AsyncIterator[Reads]:
    made = Reads(dsns)
    await made.first.open()
    await made.second.open()
    yield made
    await made.second.close()
    await made.first.close()


async def test_what_is_replayed_comes_from_the_replica(pair: Pair, reads: Reads) -> None:
    batch = numbered(5)
    await reads.primary.save_many(batch)
    await pair.standby.until_replayed()
    await reads.first.close()  # so the primary cannot be asked
    assert sorted(await reads.repository.get(uids(batch))) == uids(batch)
    assert len((await reads.repository.page(OrderQuery(), 9)).orders) == 5
    await reads.health.check()


async def test_what_the_replica_lacks_comes_from_the_primary(
    pair: Pair, reads: Reads, dsns: tuple[str, str]
) -> None:
    old, new = numbered(3, "old"), numbered(3, "new")
    await reads.primary.save_many(old)
    await pair.standby.until_replayed()
    with psycopg.connect(dsns[1], autocommit=True) as standby:
        standby.execute("SELECT pg_wal_replay_pause()")
        await until(
            lambda: (
                standby.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() == ("paused",)
            )
        )
        try:
            await reads.primary.save_many(new)
            assert await reads.replica.get(uids(new)) == {}
            both = await reads.repository.get([*uids(old), *uids(new), "unknown"])
            assert sorted(both) == sorted([*uids(old), *uids(new)])
        finally:
            standby.execute("SELECT pg_wal_replay_resume()")


async def test_how_long_changes_wait_counts_and_not_how_long_nothing_changed(
    pair: Pair, reads: Reads, dsns: tuple[str, str]
) -> None:
    now = 1000.0
    health = PostgresReplica(reads.second, clock=lambda: now)
    await health.check()
    with psycopg.connect(dsns[1], autocommit=True) as standby:
        standby.execute("SELECT pg_wal_replay_pause()")
        try:
            now += 3600  # a quiet hour
            await reads.primary.save_many(numbered(1, "late"))
            received = "SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()"
            await until(lambda: standby.execute(received).fetchone() == (True,))
            await health.check()
            now += 31
            with pytest.raises(Degraded, match="31 s behind"):
                await health.check()
        finally:
            standby.execute("SELECT pg_wal_replay_resume()")
    await pair.standby.until_replayed()
    await health.check()


async def test_a_replica_that_is_down_is_left_out(
    pair: Pair, reads: Reads, dsns: tuple[str, str]
) -> None:
    batch = numbered(5)
    await reads.primary.save_many(batch)
    await pair.standby.until_replayed()
    assert await reads.repository.get(["uid-0001"])
    HarmedPostgres(pair.standby).kill()
    try:
        assert sorted(await reads.repository.get(uids(batch))) == uids(batch)
        assert len((await reads.repository.page(OrderQuery(), 9)).orders) == 5
        with pytest.raises(Unavailable):
            await reads.health.check()
        (finding,) = await ReplicaInspection(dsns[1], 8).inspect()
        assert (finding.part, finding.state) == ("replica", "problem")
    finally:
        pair.standby.start()

    async def is_up() -> bool:
        try:
            await reads.replica.get(["uid-0001"])
        except Unavailable:
            return False
        return True

    await until(is_up)
    await pair.standby.until_replayed()


async def test_lag_is_shown(pair: Pair, reads: Reads, dsns: tuple[str, str]) -> None:
    inspection = ReplicaInspection(dsns[1], 8)
    finding = found(await inspection.inspect(), "lag")
    assert (finding.state, finding.text) == ("ok", "0 KB of changes are not replayed yet")
    pair.primary.stop()
    try:
        with pytest.raises(Degraded, match="receives nothing"):
            await reads.health.check()
        finding = found(await inspection.inspect(), "lag")
        assert (finding.state, finding.text) == ("warning", "it receives nothing from its primary")
    finally:
        pair.primary.start()
        await pair.standby.until_replayed()
