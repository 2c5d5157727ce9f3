"""Group 2: a standby takes over from the primary, or a pooler restarts."""

import time
from collections.abc import Callable

import psycopg
from psycopg.conninfo import make_conninfo

from drills.api import api
from drills.drill import drill
from drills.servers import HarmedPostgres
from drills.stage import Stage
from drills.steady import in_mid_ingest, steady
from orders_dev import ports
from tests.integration.pgbouncer import PgBouncer
from tests.integration.standby import Standby
from tests.integration.tcp_proxy import TcpProxy


@drill(2, "the primary of PostgreSQL killed, and its standby promoted")
def postgres_primary_killed(stage: Stage) -> None:
    """The DSN names both; commits are confirmed once the standby has them."""

    def kill(way: TcpProxy) -> None:
        way.shut()  # nobody is to reach it when it is started again
        stage.servers.postgres.kill()

    _fail_over(stage, kill)


@drill(2, "the primary of PostgreSQL frozen, and its standby promoted")
def postgres_primary_frozen(stage: Stage) -> None:
    """Connections to it stay, and nothing comes back."""
    _fail_over(stage, TcpProxy.freeze)


def _fail_over(stage: Stage, harm: Callable[[TcpProxy], None]) -> None:
    first, standby = _replicate(stage)
    stage.consumers.start("one")
    stage.consumers.start("two")
    stage.wait_for_topics()
    with api(stage) as readers, steady(stage):
        known = stage.traffic.send_orders(50)
        stage.wait_for_stored(len(known), 30)
        readers.read(known)
        with readers.reading(known, unknown=False), stage.traffic.flow(1_000, seconds=3.0):
            stage.wait_for_stored(len(known) + 1, 30)
            time.sleep(stage.chance(0.0, 1.0))
            harm(first)
            standby.promote()
        stage.wait_for_lag(60)
        readers.read(known)


def _replicate(stage: Stage) -> tuple[TcpProxy, Standby]:
    """Make a standby, and have everything use either; returns the way to the primary as well."""
    primary = stage.servers.primary
    standby = _standby(stage)
    _configure(primary.dsn, "ALTER SYSTEM SET synchronous_standby_names = '*'")

    def restore() -> None:
        stage.servers.postgres.heal()
        _configure(primary.dsn, "ALTER SYSTEM RESET synchronous_standby_names")

    stage.closing.callback(restore)
    first, second = (
        stage.closing.enter_context(TcpProxy("127.0.0.1", server.port))
        for server in (primary, standby)
    )
    stage.dsn = make_conninfo(
        stage.dsn,
        host="127.0.0.1,127.0.0.1",
        port=f"{first.port},{second.port}",
        target_session_attrs="read-write",
        connect_timeout=2,
    )
    stage.consumers.environment["ORDERS_POSTGRES_DSN"] = stage.dsn
    return first, standby


def _standby(stage: Stage) -> Standby:
    standby = Standby(stage.folder / "standby", ports.choose(), stage.servers.primary)
    standby.start()
    stage.closing.callback(standby.stop)
    return standby


def _configure(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())
        connection.execute("SELECT pg_reload_conf()")


@drill(2, "the replica that the API reads from killed, started again, and promoted")
def postgres_replica_killed(stage: Stage) -> None:
    """Orders come from the primary meanwhile, also those that the replica does not have."""
    standby = _standby(stage)
    replica = make_conninfo(stage.dsn, port=standby.port)
    stage.consumers.start("one")
    stage.wait_for_topics()
    harms: list[Callable[[], None]] = [
        HarmedPostgres(standby).kill,
        standby.start,
        standby.promote,
    ]
    with api(stage, ORDERS_POSTGRES_READ_DSN=replica) as readers, steady(stage):
        for harm in harms:
            known = stage.traffic.send_orders(200)
            stage.wait_for_lag(30)
            with readers.reading(known):
                harm()
                readers.read(known)


@drill(2, "PgBouncer killed, time and again", needs="pgbouncer")
def pgbouncer_killed(stage: Stage) -> None:
    """It pools transactions: all connections are cut, wherever they are."""
    kills = 10 if stage.long else 2
    bouncer = stage.closing.enter_context(PgBouncer(stage.dsn, stage.folder))
    stage.consumers.environment |= {
        "ORDERS_POSTGRES_DSN": bouncer.dsn,
        "ORDERS_POSTGRES_POOLER": "transaction",
    }
    stage.consumers.start("one")
    stage.consumers.start("two")
    stage.wait_for_topics()
    with api(stage) as readers, steady(stage):
        for number in range(kills):
            with in_mid_ingest(stage):
                stage.say(f"kill {number + 1} of {kills}")
                bouncer.stop()
                time.sleep(stage.chance(0.0, 1.0))
                bouncer.start()
        known = stage.traffic.send_orders(50)
        stage.wait_for_lag(30)
        readers.read(known)


DRILLS = (
    postgres_primary_killed,
    postgres_primary_frozen,
    postgres_replica_killed,
    pgbouncer_killed,
)
