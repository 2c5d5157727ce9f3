"""A write on a frozen server goes on after the failover; slow statements are left alone."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.peer import Peer
from orders.adapters.postgres.session import Timeouts
from orders.domain.errors import Unavailable
from tests.contracts.order_repository import newest, numbered, order_of
from tests.integration.opened import opened
from tests.integration.tcp_proxy import TcpProxy

LIVENESS = 0.8


@pytest.fixture
def proxies(database_dsn: str) -> Iterator[tuple[TcpProxy, TcpProxy]]:
    """The way to the first server, and to the one that takes over."""
    parts = conninfo_to_dict(database_dsn)
    address = str(parts["host"]), int(str(parts["port"]))
    with TcpProxy(*address) as first, TcpProxy(*address) as second:
        yield first, second


@pytest.fixture
async def database(
    database_dsn: str, proxies: tuple[TcpProxy, TcpProxy]
) -> AsyncIterator[PostgresDatabase]:
    first, second = proxies
    dsn = make_conninfo(
        database_dsn,
        host="127.0.0.1,127.0.0.1",
        port=f"{first.port},{second.port}",
        connect_timeout=1,
    )
    timeouts = Timeouts(statement=30.0, lock=30.0, liveness=LIVENESS)
    async with opened(PostgresDatabase(dsn, pool_max=3, timeouts=timeouts)) as database:
        yield database


@pytest.fixture
def repository(database: PostgresDatabase) -> PostgresOrderRepository:
    return PostgresOrderRepository(database)


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set whenever a server has reacted to a probe."""
    event = asyncio.Event()
    reacts = Peer.reacts

    async def watched(peer: Peer, seconds: float) -> bool:
        if reacted := await reacts(peer, seconds):
            event.set()
        return reacted

    monkeypatch.setattr(Peer, "reacts", watched)
    return event


async def waits_for_a_lock(admin: psycopg.AsyncConnection) -> None:
    async with asyncio.timeout(10):
        while True:
            cursor = await admin.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if await cursor.fetchone() != (0,):
                return


async def test_a_write_on_a_frozen_server_is_given_up_and_the_next_goes_to_the_other(  # noqa: PLR0917
    database: PostgresDatabase,
    repository: PostgresOrderRepository,
    proxies: tuple[TcpProxy, TcpProxy],
    probed: asyncio.Event,
    database_dsn: str,
    admin: psycopg.AsyncConnection,
) -> None:
    await asyncio.gather(*(newest(repository, 1) for _ in range(9)))  # all connections are made
    async with await psycopg.AsyncConnection.connect(database_dsn) as other:
        await other.execute("LOCK TABLE orders")
        saving = asyncio.create_task(repository.save_many(numbered(3)))
        await waits_for_a_lock(admin)
        async with asyncio.timeout(10):
            await probed.wait()  # so that a later probe has to notice it
        proxies[0].freeze()
        with pytest.raises(Unavailable, match="reacts to nothing"):
            async with asyncio.timeout(3 * LIVENESS):
                await saving
    assert all(session.abort_reason for session in database._sessions)  # the idle ones too
    reasons = []
    async with asyncio.timeout(10):
        while True:
            try:
                report = await repository.save_many(numbered(3))
                break
            except Unavailable as failure:
                reasons.append(str(failure))
                continue
    assert not any("reacts to nothing" in reason for reason in reasons)
    assert len(report.saved | report.unchanged) == 3


async def test_after_one_session_got_no_answer_the_others_are_asked_before_they_are_used(
    database: PostgresDatabase,
    repository: PostgresOrderRepository,
    proxies: tuple[TcpProxy, TcpProxy],
) -> None:
    database.timeouts = replace(database.timeouts, read=60.0)
    await asyncio.gather(*(newest(repository, 1) for _ in range(9)))  # all connections are made
    for session in database._sessions:
        session._liveness = 60.0  # so no probe finds out
    proxies[0].freeze()
    with pytest.raises(Unavailable):
        await database.check()
    async with asyncio.timeout(20):
        assert await repository.get(["unknown"]) == {}


async def test_a_statement_that_is_merely_slow_goes_on(
    repository: PostgresOrderRepository, database_dsn: str, admin: psycopg.AsyncConnection
) -> None:
    async with await psycopg.AsyncConnection.connect(database_dsn) as other:
        await other.execute("LOCK TABLE orders")
        saving = asyncio.create_task(repository.save_many([order_of("slow")]))
        await waits_for_a_lock(admin)
        done, _ = await asyncio.wait({saving}, timeout=4 * LIVENESS)
        assert not done
    assert (await saving).saved == {"slow"}


async def test_sessions_on_another_server_are_left_alone(
    database: PostgresDatabase, proxies: tuple[TcpProxy, TcpProxy]
) -> None:
    async with database.connection(10) as session:
        assert session.on_dead_peer
        session.on_dead_peer(Peer("127.0.0.1", proxies[1].port))
        await session.execute("SELECT 1")


async def test_who_reacts(
    database_dsn: str, proxies: tuple[TcpProxy, TcpProxy], tmp_path: Path
) -> None:
    parts = conninfo_to_dict(database_dsn)
    assert await Peer(str(parts["host"]), int(str(parts["port"]))).reacts(2)
    proxies[0].freeze()
    assert not await Peer("127.0.0.1", proxies[0].port).reacts(0.2)
    proxies[1].shut()
    assert await Peer("127.0.0.1", proxies[1].port).reacts(2)  # to be refused is a reaction
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / ".s.PGSQL.5432"))
        silent.listen()
        assert not await Peer(str(tmp_path), 5432).reacts(0.2)
    assert await Peer(str(tmp_path), 5432).reacts(2)
