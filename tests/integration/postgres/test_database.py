"""The pool fails fast with the server down or frozen, recovers by itself, and leaks no secrets."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator

import psycopg
import pytest
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.session import Session, Timeouts
from orders.domain.errors import Unavailable
from orders.domain.order.document import encode
from tests.contracts.order_repository import newest, numbered, order_of
from tests.integration.opened import opened
from tests.integration.tcp_proxy import TcpProxy
from tests.waiting import until, works

PASSWORD = "pass-word-never-shown"


@pytest.fixture
def behind_door(database_dsn: str, door: TcpProxy) -> str:
    return make_conninfo(database_dsn, host="127.0.0.1", port=door.port)


@pytest.fixture
async def nowhere() -> AsyncIterator[PostgresDatabase]:
    """On a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    database = PostgresDatabase(
        f"postgresql://somebody:{PASSWORD}@127.0.0.1:{port}/somewhere", pool_max=2
    )
    yield database
    await database.close()


async def test_without_a_server(
    nowhere: PostgresDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    repository = PostgresOrderRepository(nowhere)
    begun = time.monotonic()
    await nowhere.open()
    assert time.monotonic() - begun < 2
    with pytest.raises(Unavailable) as raised:
        await repository.get(["uid"])
    assert time.monotonic() - begun < 4
    # Once it is known to be unreachable, no caller waits long.
    begun = time.monotonic()
    for call in (repository.save_many([order_of("uid")]), newest(repository, 1), nowhere.check()):
        with pytest.raises(Unavailable):
            await call
    assert time.monotonic() - begun < 1.5
    output = f"{raised.value} {raised.value.__cause__!r} {caplog.text}"
    for secret in (PASSWORD, "somebody", "somewhere", "127.0.0.1"):
        assert secret not in output


async def test_a_wrong_database_name_is_unavailable(postgres_dsn: str) -> None:
    dsn = make_conninfo(postgres_dsn, dbname="no_such_one")
    async with opened(PostgresDatabase(dsn, pool_max=1)) as database:
        with pytest.raises(Unavailable) as raised:
            await database.check()
        assert "no_such_one" not in str(raised.value)


async def test_a_server_that_starts_late_stops_and_recovers(
    door: TcpProxy, behind_door: str
) -> None:
    door.shut()
    async with opened(PostgresDatabase(behind_door, pool_max=4)) as database:
        repository = PostgresOrderRepository(database)
        with pytest.raises(Unavailable):
            await repository.save_many(numbered(3))
        door.open()
        await until(lambda: works(database))
        await repository.save_many(numbered(3))
        for _ in range(2):
            await asyncio.gather(*(newest(repository, 1) for _ in range(8)))  # all are used
            door.shut()
            begun = time.monotonic()
            with pytest.raises(Unavailable):
                await newest(repository, 1)
            assert time.monotonic() - begun < 4
            door.open()
            await until(lambda: works(database))
            assert len(await newest(repository, 9)) == 3


async def test_after_a_restart_of_the_server_not_one_call_fails(
    database: PostgresDatabase,
    order_repository: PostgresOrderRepository,
    admin: psycopg.AsyncConnection,
) -> None:
    await order_repository.save_many(numbered(3))
    async with database.connection(10), database.connection(10):
        pass  # the pool has two from now on
    cursor = await admin.execute(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    (ended,) = await cursor.fetchone() or (0,)
    assert ended >= 2
    begun = time.monotonic()
    for _ in range(8):
        assert len(await newest(order_repository, 9)) == 3
    assert time.monotonic() - begun < 2


async def test_the_connection_to_a_frozen_server_is_aborted(
    door: TcpProxy, behind_door: str
) -> None:
    async with opened(PostgresDatabase(behind_door, pool_max=2)) as database:
        repository = PostgresOrderRepository(database)
        await repository.save_many(numbered(3))
        database.timeouts = Timeouts(read=0.5, write=0.7)  # too short for a loaded machine
        door.freeze()
        for call in (
            newest(repository, 1),
            repository.save_many([order_of("x")]),
            database.check(),
        ):
            begun = time.monotonic()
            with pytest.raises(Unavailable):
                await call
            assert time.monotonic() - begun < 3.5
        door.open()
        database.timeouts = Timeouts()
        await until(lambda: works(database))
        assert len(await newest(repository, 9)) == 3


async def test_a_frozen_server_is_not_logged_as_recovered(door: TcpProxy, behind_door: str) -> None:
    async with opened(PostgresDatabase(behind_door, pool_max=3)) as database:
        repository = PostgresOrderRepository(database)
        await until(lambda: works(database))
        await asyncio.gather(*(newest(repository, 1) for _ in range(9)))  # all connections are made
        database.timeouts = Timeouts(read=0.3)  # too short for a loaded machine
        with structlog.testing.capture_logs() as lines:
            door.freeze()
            for _ in range(5):  # each takes another of the idle connections
                with pytest.raises(Unavailable):
                    await newest(repository, 1)
            assert [line["event"] for line in lines] == ["PostgreSQL is unreachable"]
            door.open()
            await until(lambda: works(database))
        assert [line["event"] for line in lines] == [
            "PostgreSQL is unreachable",
            "PostgreSQL recovered",
        ]


async def test_a_closed_database_is_not_reported_as_unreachable(postgres_dsn: str) -> None:
    database = PostgresDatabase(postgres_dsn, pool_max=1)
    await database.open()
    await database.close()
    with structlog.testing.capture_logs() as lines, pytest.raises(Unavailable, match="closed"):
        await database.check()
    assert not lines


async def test_a_check_does_not_wait_for_a_frozen_server(door: TcpProxy, behind_door: str) -> None:
    async with opened(PostgresDatabase(behind_door, pool_max=1)) as database:
        await until(lambda: works(database))
        door.freeze()
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="in time"):
            await database.check()
        assert time.monotonic() - begun < 2
        door.shut()


async def test_read_only_sessions_are_closed(
    admin: psycopg.AsyncConnection, database_dsn: str
) -> None:
    name = conninfo_to_dict(database_dsn)["dbname"]
    await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with opened(PostgresDatabase(database_dsn, pool_max=4)) as database:
        repository = PostgresOrderRepository(database)
        await asyncio.gather(*(repository.get(["some"]) for _ in range(8)))  # all four begin
        for _ in range(2):
            with pytest.raises(Unavailable, match="25006"):
                await repository.save_many(numbered(3))
        await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        assert len((await repository.save_many(numbered(3))).saved) == 3


async def test_a_session_is_no_younger_than_the_settings_that_the_server_read_for_it(
    database_dsn: str,
) -> None:
    async with await Session.connect(database_dsn) as session:
        statement = "SELECT extract(epoch FROM backend_start)::float8 FROM pg_stat_activity"
        cursor = await session.execute(f"{statement} WHERE pid = pg_backend_pid()")
        [started] = await cursor.fetchone() or [0.0]
        assert time.time() - (time.monotonic() - session.connecting_since) < started


async def test_more_calls_than_connections(order_repository: PostgresOrderRepository) -> None:
    batch = numbered(20)
    await order_repository.save_many(batch)
    found = await asyncio.gather(*(order_repository.get([o.order_uid]) for o in batch * 5))
    assert found == [{o.order_uid: encode(o)} for o in batch * 5]


async def test_it_is_up_while_others_have_all_connections_in_use(
    door: TcpProxy, behind_door: str
) -> None:
    async with opened(PostgresDatabase(behind_door, pool_max=2)) as database:
        async with database.connection(30) as session, database.connection(30):
            with pytest.raises(Unavailable, match="busy"):
                async with database.connection(30, wait=0.1):
                    pass
            await database.check()
            count = "SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = current_database()"

            async def two_are_left() -> bool:
                cursor = await session.execute(count)
                return await cursor.fetchone() == (True,)

            await until(two_are_left, "the third has ended")
            door.freeze()  # new connections get no answer
            with pytest.raises(Unavailable, match="busy"):
                await database.check()
            door.open()
        await until(lambda: works(database), "it is up")


@pytest.mark.parametrize("name", ["orders", "orders consumer"])
async def test_settings_of_a_session(database_dsn: str, name: str) -> None:
    dsn = make_conninfo(database_dsn, options="-c TimeZone=Europe/Moscow -c DateStyle=German")
    timeouts = Timeouts(statement=1.5, lock=0.25)
    async with opened(PostgresDatabase(dsn, 1, name, timeouts)) as database:
        async with database.connection(5) as session:
            shown = {}
            for setting in (
                "TimeZone",
                "application_name",
                "client_encoding",
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
            ):
                cursor = await session.execute("SELECT current_setting(%s)", [setting])
                row = await cursor.fetchone()
                shown[setting] = row and row[0]
        assert shown == {
            "TimeZone": "UTC",
            "application_name": name,
            "client_encoding": "UTF8",
            "statement_timeout": "1500ms",
            "lock_timeout": "250ms",
            "idle_in_transaction_session_timeout": "1min",
        }
        repository = PostgresOrderRepository(database)
        order = order_of("uid")
        await repository.save_many([order])
        assert await repository.get(["uid"]) == {"uid": encode(order)}


async def test_in_a_database_of_another_zone_and_language(
    database_dsn: str, admin: psycopg.AsyncConnection
) -> None:
    await admin.execute(
        psycopg.sql.SQL("ALTER DATABASE {} SET TimeZone TO 'Asia/Tokyo'").format(
            psycopg.sql.Identifier(admin.info.dbname)
        )
    )
    async with opened(PostgresDatabase(database_dsn, pool_max=1)) as database:
        repository = PostgresOrderRepository(database)
        order = order_of("uid")
        await repository.save_many([order])
        assert [stored.document for stored in await newest(repository, 1)] == [encode(order)]


async def test_closing_twice_and_using_it_then(database_dsn: str) -> None:
    database = PostgresDatabase(database_dsn, pool_max=1)
    await database.close()
    await database.open()
    await database.check()
    await database.close()
    await database.close()
    with pytest.raises(Unavailable):
        await database.check()
