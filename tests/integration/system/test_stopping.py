"""The consumer ends within 10 s of the first SIGTERM or SIGINT, with 0, whatever is going on."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.builders import order_bytes
from tests.integration.kafka.own_broker import OwnBroker
from tests.integration.system.held_up_consumer import WAYS
from tests.integration.system.processes import SOURCES, START_SECONDS, System, system
from tests.integration.tcp_proxy import TcpProxy
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
BOUND = 10.0
SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    broker = OwnBroker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


@pytest.fixture
def broker(own_broker: OwnBroker) -> Iterator[OwnBroker]:
    own_broker.start()
    yield own_broker
    own_broker.thaw()


@pytest.fixture
def kafka_bootstrap(own_broker: OwnBroker) -> str:
    return own_broker.bootstrap


@pytest.fixture
def consumer(
    broker: OwnBroker,
    system_environment: dict[str, str],
    postgres_door: TcpProxy,
    tmp_path: Path,
) -> Iterator[System]:
    dsn = system_environment["ORDERS_POSTGRES_DSN"]
    behind = {"ORDERS_POSTGRES_DSN": make_conninfo(dsn, host="127.0.0.1", port=postgres_door.port)}
    with system(system_environment | behind, tmp_path) as made:
        yield made


def logged(consumer: System, text: str, times: int = 1) -> None:
    wait_until(
        lambda: consumer.log("consumer").count(text) >= times,
        START_SECONDS,
        f"the log says {text!r}",
        lambda: consumer.log("consumer"),
    )


def stored(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        return {uid for (uid,) in connection.execute("SELECT order_uid FROM orders")}


def working(consumer: System, database_dsn: str) -> None:
    """Start it, and have it store an order."""
    consumer.start("consumer")
    logged(consumer, "partitions assigned")
    consumer.send(order_bytes("before"))
    wait_until(lambda: "before" in stored(database_dsn), START_SECONDS, "an order is stored")


def take_down(broker: OwnBroker | None, postgres: TcpProxy | None, how: str) -> None:
    if postgres:
        {"frozen": postgres.freeze, "dead": postgres.shut}[how]()
    if broker:
        {"frozen": broker.freeze, "dead": broker.kill}[how]()


def ends_in_time(consumer: System, by: signal.Signals = signal.SIGTERM) -> None:
    began = time.monotonic()
    assert consumer.stop("consumer", by) == 0, consumer.log("consumer")
    assert time.monotonic() - began < BOUND
    # In good order, that is: the last resort is for what nobody thought of.
    assert "stopped" in consumer.log("consumer").splitlines()[-1]
    assert "took too long" not in consumer.log("consumer")


@pytest.mark.parametrize("how", ["frozen", "dead"])
@pytest.mark.parametrize("which", ["kafka", "postgres", "kafka and postgres"])
def test_idle_with_servers_down(  # noqa: PLR0917
    consumer: System,
    broker: OwnBroker,
    postgres_door: TcpProxy,
    database_dsn: str,
    which: str,
    how: str,
) -> None:
    working(consumer, database_dsn)
    take_down(
        broker if "kafka" in which else None, postgres_door if "postgres" in which else None, how
    )
    ends_in_time(consumer, SIGNALS[how == "dead"])


@pytest.mark.parametrize("how", ["frozen", "dead"])
@pytest.mark.parametrize("which", ["kafka", "postgres", "kafka and postgres"])
def test_starting_with_servers_down(
    consumer: System, broker: OwnBroker, postgres_door: TcpProxy, which: str, how: str
) -> None:
    take_down(
        broker if "kafka" in which else None, postgres_door if "postgres" in which else None, how
    )
    consumer.start("consumer")
    logged(consumer, "started")
    if "postgres" in which:
        logged(consumer, "waiting for the database")
    else:
        logged(consumer, "consumer tries again")
    ends_in_time(consumer, SIGNALS[how == "frozen"])


def test_while_migrating(consumer: System, database_dsn: str) -> None:
    with psycopg.connect(database_dsn) as other:
        other.execute("DELETE FROM schema_migrations")
        other.commit()
        other.execute("LOCK TABLE schema_migrations")
        consumer.start("consumer")
        logged(consumer, "started")
        wait_until(
            lambda: other.execute(
                "SELECT 1 FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"
            ).fetchone(),
            START_SECONDS,
            "the migration waits for the lock",
        )
        ends_in_time(consumer)


@pytest.mark.parametrize("how", ["frozen", "dead"])
def test_with_a_batch_in_progress_and_postgres_down(
    consumer: System, postgres_door: TcpProxy, database_dsn: str, how: str
) -> None:
    """It is dropped uncommitted, and comes again."""
    working(consumer, database_dsn)
    take_down(None, postgres_door, how)
    consumer.send(order_bytes("in hand"))
    if how == "dead":
        logged(consumer, "cannot store, waiting")
    else:
        time.sleep(1)  # nothing can be seen from outside: the answer is what does not come
    ends_in_time(consumer)
    assert "in hand" not in stored(database_dsn)
    postgres_door.open()
    consumer.start("consumer")
    wait_until(lambda: "in hand" in stored(database_dsn), START_SECONDS, "it came again")


@pytest.mark.parametrize("how", ["frozen", "dead"])
@pytest.mark.parametrize("also", ["a commit", "dead letters"])
def test_with_something_unacknowledged(
    consumer: System, broker: OwnBroker, database_dsn: str, how: str, also: str
) -> None:
    """The broker goes down between the database's work and its own."""
    working(consumer, database_dsn)
    with psycopg.connect(database_dsn) as other:
        other.execute("LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE")
        bad = [b"[]"] if also == "dead letters" else []
        consumer.send(b"[" + b",".join([order_bytes("in hand"), *bad]) + b"]")
        wait_until(
            lambda: other.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone(),
            START_SECONDS,
            "the batch waits for the lock",
        )
        take_down(broker, None, how)
    wait_until(lambda: "in hand" in stored(database_dsn), START_SECONDS, "it is stored")
    ends_in_time(consumer, signal.SIGINT)


def test_a_second_signal_ends_at_once(
    consumer: System, broker: OwnBroker, database_dsn: str, postgres_door: TcpProxy
) -> None:
    working(consumer, database_dsn)
    take_down(broker, postgres_door, "frozen")
    process = consumer._processes["consumer"]
    process.send_signal(signal.SIGTERM)
    logged(consumer, "stopping")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(BOUND) == 1
    assert time.monotonic() - began < 2
    assert "ended at once by a second signal" in consumer.log("consumer")
    assert "stopped" not in consumer.log("consumer")


@pytest.fixture
def held_up(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A consumer that something has just begun to hold up."""
    way = request.param
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/integration/system/held_up_consumer.py"), way],
            env=os.environ | {"PYTHONPATH": SOURCES},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if way == "log_is_not_read" else log,
            start_new_session=True,
        )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held up\n", (tmp_path / "log").read_text()
    time.sleep(0.5)
    yield process
    process.kill()
    process.communicate()


# What is read beside the loop is left behind at once; the rest is for the last resort.
@pytest.mark.parametrize(
    ("held_up", "least"),
    [(way, 0 if way == "message_is_being_read" else 8) for way in WAYS],
    indirect=["held_up"],
)
def test_nothing_holds_up_the_end(held_up: subprocess.Popen[bytes], least: float) -> None:
    began = time.monotonic()
    held_up.send_signal(signal.SIGTERM)
    assert held_up.wait(BOUND) == 0
    assert least <= time.monotonic() - began < least + 6


@pytest.mark.parametrize("held_up", [way for way in WAYS if "message" not in way], indirect=True)
def test_a_second_signal_is_not_held_up_either(held_up: subprocess.Popen[bytes]) -> None:
    held_up.send_signal(signal.SIGTERM)
    time.sleep(0.2)  # two signals at once may arrive as one
    began = time.monotonic()
    held_up.send_signal(signal.SIGTERM)
    assert held_up.wait(BOUND) == 1
    assert time.monotonic() - began < 2


def test_the_api_with_requests_in_hand_and_servers_frozen(
    consumer: System, broker: OwnBroker, postgres_door: TcpProxy
) -> None:
    consumer.start_api()
    take_down(broker, postgres_door, "frozen")
    with (
        socket.create_connection(("127.0.0.1", consumer.port)) as reader,
        socket.create_connection(("127.0.0.1", consumer.port)) as sender,
    ):
        reader.sendall(b"GET /orders/unknown HTTP/1.1\r\nHost: x\r\n\r\n")
        sender.sendall(b"POST /random/5 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        began = time.monotonic()
        assert consumer.stop("api") == 0, consumer.log("api")
        assert time.monotonic() - began < BOUND
