"""A database that cannot hold every order is refused; parameters of a look-up end nothing."""

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.inspection import PostgresInspection
from orders.adapters.postgres.migrator import Migrator
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.session import Session
from orders.domain.errors import UnsuitableDatabase
from orders.domain.order.queries import OrderQuery, Page
from tests.contracts.order_repository import numbered, order_of
from tests.integration.opened import opened
from tests.integration.postgres import roles
from tests.integration.postgres_fixtures import migrate


@pytest.fixture(params=["SQL_ASCII", "LATIN1", "WIN1251"])
def foreign_dsn(request: pytest.FixtureRequest, postgres_dsn: str) -> Iterator[str]:
    with roles.database(postgres_dsn, request.param) as dsn:
        yield dsn


async def test_refused_by_migrate_by_health_and_by_each_use(foreign_dsn: str) -> None:
    async with opened(PostgresDatabase(foreign_dsn, pool_max=1)) as database:
        for call in (
            Migrator(database).migrate(),
            database.check(),
            PostgresOrderRepository(database).get(["order"]),
            PostgresOrderRepository(database).save_many([order_of("order")]),
        ):
            with pytest.raises(UnsuitableDatabase, match="ENCODING 'UTF8'"):
                await call


async def test_refused_by_doctor(foreign_dsn: str) -> None:
    (finding,) = await PostgresInspection(foreign_dsn, pool_max=8).inspect()
    assert (finding.what, finding.state) == ("encoding", "problem")
    assert "cannot hold every order" in finding.text
    assert "ENCODING 'UTF8'" in finding.advice


@pytest.fixture
async def repository(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PostgresOrderRepository]:
    """On a database whose encoding lacks characters, as if nobody had refused it."""
    monkeypatch.setattr(Session, "_require_utf8", lambda _: None)
    with roles.database(postgres_dsn, "WIN1251") as dsn:
        await migrate(dsn)
        async with opened(PostgresDatabase(dsn, pool_max=1)) as database:
            yield PostgresOrderRepository(database)


@pytest.mark.parametrize("expects_duplicates", [False, True])
async def test_an_order_that_cannot_be_looked_up_is_rejected_alone(
    repository: PostgresOrderRepository, expects_duplicates: bool
) -> None:
    if expects_duplicates:
        await repository.save_many(numbered(1))
        await repository.save_many(numbered(1))
    report = await repository.save_many([*numbered(20), order_of("snow ☃"), order_of("снег")])
    assert set(report.rejected) == {"snow ☃"}
    assert "22P05" in report.rejected["snow ☃"]
    assert len(report.saved | report.unchanged) == 21


async def test_what_cannot_be_looked_up_is_not_found(repository: PostgresOrderRepository) -> None:
    await repository.save_many(numbered(1))
    (uid,) = (order.order_uid for order in numbered(1))
    assert set(await repository.get([uid, "snow ☃", "sun ☀"])) == {uid}
    assert await repository.get(["snow ☃"]) == {}
    for query in (OrderQuery("☃"), OrderQuery(customer_id="☃"), OrderQuery(track_number="☃")):
        assert await repository.page(query, 10) == Page(())


async def test_in_the_settings_of_the_database(
    database_dsn: str, admin: psycopg.AsyncConnection
) -> None:
    """The doctor sees what the product sees."""
    for setting in ("statement_timeout = 1", "client_encoding = LATIN1", "DateStyle = German"):
        await admin.execute(f"ALTER DATABASE {admin.info.dbname} SET {setting}")
    findings = await PostgresInspection(database_dsn, pool_max=8).inspect()
    assert {finding.state for finding in findings} == {"ok"}, findings
