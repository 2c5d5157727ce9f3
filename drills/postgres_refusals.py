"""Group 2: PostgreSQL is there and cannot do it now."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from operator import itemgetter
from random import Random
from typing import Any

import psycopg

from drills.drill import drill
from drills.expectations import Good
from drills.stage import Stage
from drills.steady import steady, wait_until_told
from drills.stored import write_order
from drills.waiting import wait_until

Session = psycopg.Connection[Any]
TABLES = ("orders", "delivery", "payments", "items")

COUNT = "UPDATE counted SET orders = orders + 1 WHERE id = 1"
COUNTED = (
    "CREATE TABLE counted (id integer PRIMARY KEY, orders bigint NOT NULL)",
    "INSERT INTO counted VALUES (1, 0)",
    f"""
    CREATE FUNCTION count_orders() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {COUNT};
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER count_orders AFTER INSERT ON orders EXECUTE FUNCTION count_orders()",
)
"""A row that all writers of orders change, so that none gets past another."""

DISK_FULL = """
    CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'could not extend file "base/16384/16390": No space left on device'
            USING ERRCODE = 'disk_full', HINT = 'Check free disk space.';
    END $$
"""
WHEN_FULL = {
    "in the COPY": "CREATE TRIGGER disk_full BEFORE INSERT ON {}"
    " FOR EACH ROW EXECUTE FUNCTION disk_full()",
    "in the COMMIT": "CREATE CONSTRAINT TRIGGER disk_full AFTER INSERT ON {}"
    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION disk_full()",
}

WAITING_FOR = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
END_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@drill(2, "a table locked for longer than the lock timeout")
def postgres_table_locked(stage: Stage) -> None:
    """Somebody alters a table, and takes their time."""
    _start(stage, "one", "two")
    for number, table in enumerate(TABLES if stage.long else [stage.rng.choice(TABLES)]):
        stage.say(f"{table} is locked")
        with steady(stage), stage.traffic.flow(500, seconds=2.0), _session(stage) as session:
            session.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
            wait_until_told(stage, "lock not available (55P03)", times=number + 1)


@drill(2, "orders inserted by somebody else, who does not commit")
def postgres_orders_locked(stage: Stage) -> None:
    """For longer than the lock timeout; then they roll back, or commit the same, or another."""
    _start(stage, "one")
    given_up, same, other = stage.traffic.orders(3)
    theirs = other | {"entry": "theirs"}
    with (
        steady(stage, dead_letters=1),
        stage.traffic.flow(500, seconds=2.0),
        _session(stage) as loser,
        _session(stage) as winner,
    ):
        write_order(loser, given_up)
        write_order(winner, same)
        write_order(winner, theirs)
        for document in (given_up, same, other):
            stage.traffic.send_order(document)
        wait_until_told(stage, "lock not available (55P03)")
        winner.commit()
        loser.rollback()
        stage.traffic.send_order(theirs)


@drill(2, "serialization failures")
def postgres_serialization(stage: Stage) -> None:
    """Real ones: everything is SERIALIZABLE, and all writers change one row."""
    _execute(stage, *COUNTED)
    with _session(stage) as session:
        _database(session, "SET default_transaction_isolation = 'serializable'")
    _start(stage, "one", "two")
    times = 10 if stage.long else 2
    with steady(stage), _competition(stage), stage.traffic.flow(times * 500, seconds=times * 1.5):
        wait_until_told(stage, "serialization failure (40001)", times=times)


@drill(2, "deadlocks")
def postgres_deadlock(stage: Stage) -> None:
    """Somebody writes the same orders in another order, and PostgreSQL ends our transaction."""
    _start(stage, "one")
    times = 8 if stage.long else 2
    with steady(stage), stage.traffic.flow(times * 200, seconds=times * 1.5):
        for number in range(times):
            stage.say(f"deadlock {number + 1} of {times}")
            first, last = sorted(stage.traffic.orders(2), key=itemgetter("order_uid"))
            with _session(stage) as session:
                # Whoever looks first ends itself.
                session.execute("SET deadlock_timeout = '30s'")
                write_order(session, last)
                stage.traffic.send(json.dumps([first, last]).encode(), [Good(first), Good(last)])
                _wait_for_waiting(stage, session)
                write_order(session, first)
                session.rollback()
            wait_until_told(stage, "deadlock detected (40P01)", times=number + 1)


@drill(2, "disk full, as the server reports it")
def postgres_disk_full(stage: Stage) -> None:
    """By triggers that raise the server's own error: in the COPY of a table and in the COMMIT."""
    _start(stage, "one", "two")
    _execute(stage, DISK_FULL)
    seen = 0
    for when, trigger in WHEN_FULL.items():
        for table in TABLES if stage.long else [stage.rng.choice(TABLES)]:
            stage.say(f"full {when}, {table}")
            with steady(stage), stage.traffic.flow(500, seconds=1.0):
                _execute(stage, trigger.format(table))
                wait_until_told(stage, "disk full (53100)", times=(seen := seen + 1))
                _execute(stage, f"DROP TRIGGER disk_full ON {table}")


@drill(2, "the database read-only for a while")
def postgres_read_only(stage: Stage) -> None:
    """Sessions that began meanwhile stay read-only to their end, as those of a failover may."""
    _start(stage, "one", "two")
    seconds = 10.0 if stage.long else 2.0
    with (
        steady(stage),
        stage.traffic.flow(2_000 if stage.long else 500, seconds=seconds),
        _session(stage) as session,  # it has begun before, so it may write
    ):
        _database(session, "SET default_transaction_read_only = on")
        session.execute(END_SESSIONS)
        wait_until_told(stage, "read only sql transaction (25006)")
        time.sleep(seconds / 2)
        _database(session, "RESET default_transaction_read_only")


def _start(stage: Stage, *names: str) -> None:
    for name in names:
        stage.consumers.start(name)
    stage.wait_for_topics()


@contextmanager
def _session(stage: Stage) -> Iterator[Session]:
    """Somebody else's; what is not committed in the block is rolled back."""
    connection = psycopg.connect(stage.dsn)
    try:
        connection.execute("SET statement_timeout = '30s'")
        connection.commit()
        yield connection
    finally:
        connection.close()


def _execute(stage: Stage, *statements: str) -> None:
    with _session(stage) as session:
        for statement in statements:
            session.execute(statement.encode())
        session.commit()


def _database(session: Session, change: str) -> None:
    """Change what holds for sessions that begin from now on."""
    session.execute(f'ALTER DATABASE "{session.info.dbname}" {change}'.encode())
    session.commit()


@contextmanager
def _competition(stage: Stage) -> Iterator[None]:
    """Somebody who changes the row that all writers of orders change, again and again."""
    over = threading.Event()
    rng = Random(stage.rng.random())

    def compete() -> None:
        with _session(stage) as session:
            while not over.wait(rng.uniform(0.0, 0.05)):
                try:
                    session.execute(COUNT)
                    over.wait(rng.uniform(0.0, 0.05))
                    session.commit()
                except psycopg.errors.SerializationFailure:
                    session.rollback()

    with ThreadPoolExecutor(1, "competition") as pool:
        competing = pool.submit(compete)
        try:
            yield
        finally:
            over.set()
            competing.result()


def _wait_for_waiting(stage: Stage, session: Session) -> None:
    """Wait until somebody waits for what ``session`` holds."""
    # From outside: within a transaction the list of sessions stays as it was first seen.
    with psycopg.connect(stage.dsn, autocommit=True) as observer:
        wait_until(
            lambda: observer.execute(WAITING_FOR, [session.info.backend_pid]).fetchone(),
            20,
            "a consumer waits for somebody else's transaction",
            pause=0.01,
        )


DRILLS = (
    postgres_table_locked,
    postgres_orders_locked,
    postgres_serialization,
    postgres_deadlock,
    postgres_disk_full,
    postgres_read_only,
)

ON_CITUS = (postgres_table_locked, postgres_orders_locked)
"""The others need triggers, which Citus does not allow on its tables, or look at waiting sessions,
which wait on the workers there."""
