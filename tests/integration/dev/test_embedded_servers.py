"""Each embedded server serves a real client and keeps its data, whatever happens to it."""

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from orders_dev import ports
from orders_dev.errors import DevError
from orders_dev.identity import identity
from orders_dev.kafka import KafkaBroker
from orders_dev.postgres import PostgresServer
from orders_dev.server import Server
from orders_dev.valkey import ValkeyServer


class Case(Protocol):
    """A server and what a client does with it."""

    server: Server

    def write(self, text: str) -> None: ...

    def read(self) -> list[str]: ...


class Postgres:
    def __init__(self, folder: Path) -> None:
        self.server = PostgresServer(folder / "postgres", ports.choose())

    def write(self, text: str) -> None:
        with psycopg.connect(self.server.dsn) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (text text)")
            connection.execute("INSERT INTO kept VALUES (%s)", (text,))

    def read(self) -> list[str]:
        with psycopg.connect(self.server.dsn) as connection:
            return [row[0] for row in connection.execute("SELECT text FROM kept")]


class Valkey:
    def __init__(self, folder: Path) -> None:
        self.server = ValkeyServer(folder / "valkey", ports.choose())

    def write(self, text: str) -> None:
        with redis.Redis.from_url(self.server.url) as client:
            client.rpush("kept", text)

    def read(self) -> list[str]:
        with redis.Redis.from_url(self.server.url) as client:
            return [value.decode() for value in client.lrange("kept", 0, -1)]


class Kafka:
    def __init__(self, folder: Path) -> None:
        port = ports.choose()
        self.server = KafkaBroker(folder / "kafka", port, ports.choose(taken={port}))

    def write(self, text: str) -> None:
        bootstrap: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.server.bootstrap
        }
        admin = AdminClient(bootstrap)
        if "kept" not in admin.list_topics(timeout=10).topics:
            admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(10)
        producer = Producer(bootstrap)
        producer.produce("kept", text.encode(), partition=0)
        assert producer.flush(10) == 0

    def read(self) -> list[str]:
        consumer = Consumer({"bootstrap.servers": self.server.bootstrap, "group.id": "reader"})
        partition = TopicPartition("kept", 0, 0)
        _, end = consumer.get_watermark_offsets(partition, timeout=10)
        consumer.assign([partition])
        values = []
        for _ in range(end):
            message = consumer.poll(10)
            assert message is not None
            values.append((message.value() or b"").decode())
        consumer.close()
        return values


@pytest.fixture(params=[Postgres, Valkey, Kafka], ids=["postgres", "valkey", "kafka"])
def case(request: pytest.FixtureRequest, awkward_folder: Path) -> Iterator[Case]:
    case: Case = request.param(awkward_folder)
    yield case
    case.server.stop()


def test_data_survive_a_stop_and_a_kill_in_any_folder(case: Case) -> None:
    case.server.start()
    case.write("before the stop: Ж")
    stopped = case.server.pid
    case.server.stop()
    assert stopped is not None
    assert identity(stopped) is None

    case.server.start()
    case.write("before the kill")
    assert case.server.pid is not None
    os.kill(case.server.pid, signal.SIGKILL)

    case.server.start()
    assert case.read() == ["before the stop: Ж", "before the kill"]


def test_it_listens_on_the_loopback_address_only(case: Case) -> None:
    case.server.start()
    listening = 0x0A
    addresses = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text("ascii").splitlines()[1:]:
            fields = line.split()
            address, _, port = fields[1].rpartition(":")
            if int(fields[3], 16) == listening and int(port, 16) == case.server.port:
                addresses.add(address)
    assert addresses <= {"0100007F", "0000000000000000FFFF00000100007F"}
    assert addresses


def test_an_erased_server_starts_empty(case: Case) -> None:
    case.server.start()
    case.write("to be forgotten")
    case.server.stop()
    case.server.erase()
    assert not case.server.folder.exists()
    case.server.start()
    case.write("new")
    assert case.read() == ["new"]


def test_a_taken_port_is_reported_with_the_servers_log(awkward_folder: Path) -> None:
    first = ValkeyServer(awkward_folder / "first", ports.choose())
    second = ValkeyServer(awkward_folder / "second", first.port)
    first.start()
    try:
        with pytest.raises(DevError, match="Valkey ended by itself") as failure:
            second.start()
        assert "Address already in use" in failure.value.advice
        assert not second.running
        assert first.running
    finally:
        first.stop()


class TestPostgres:
    def test_everybody_needs_the_password_which_only_its_owner_can_read(
        self, awkward_folder: Path
    ) -> None:
        server = PostgresServer(awkward_folder / "postgres", ports.choose())
        server.start()
        try:
            assert stat.S_IMODE(server.password_file.stat().st_mode) == 0o600
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(server.public_dsn, passfile="/dev/null")
            with psycopg.connect(
                server.public_dsn, passfile=str(server.password_file)
            ) as connection:
                told = connection.execute(
                    "SELECT current_database(), current_user, current_setting('server_encoding')"
                )
                assert told.fetchone() == ("orders", "orders", "UTF8")
        finally:
            server.stop()

    def test_the_log_does_not_hold_rows_that_fail(self, awkward_folder: Path) -> None:
        server = PostgresServer(awkward_folder / "postgres", ports.choose())
        server.start()
        try:
            with psycopg.connect(server.dsn) as connection:
                connection.execute("CREATE TABLE people (name text UNIQUE)")
                connection.execute("INSERT INTO people VALUES ('Jane Roe')")
                with (
                    pytest.raises(psycopg.errors.UniqueViolation),
                    connection.cursor().copy("COPY people FROM STDIN") as copy,
                ):
                    copy.write(b"Jane Roe\n")
        finally:
            server.stop()
        log = server.log.read_text("utf-8")
        assert "duplicate key value" in log
        assert "Jane Roe" not in log

    def test_a_lock_file_with_a_strangers_process_id_does_not_block(
        self, awkward_folder: Path
    ) -> None:
        server = PostgresServer(awkward_folder / "postgres", ports.choose())
        server.start()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        server.stop()
        lock = server.folder / "postmaster.pid"
        _, *rest = lock.read_text("utf-8").splitlines()
        lock.write_text("\n".join([str(os.getppid()), *rest]), "utf-8")  # lives, is not PostgreSQL
        server.start()
        server.stop()
        assert identity(os.getppid()) is not None

    def test_a_lost_password_is_reported(self, awkward_folder: Path) -> None:
        server = PostgresServer(awkward_folder / "postgres", ports.choose())
        server.start()
        server.stop()
        server.password_file.unlink()
        with pytest.raises(DevError, match="password"):
            server.start()

    def test_an_interrupted_creation_is_done_again(self, awkward_folder: Path) -> None:
        half = awkward_folder / "postgres.new"
        half.mkdir()
        (half / "PG_VERSION").write_text("18\n", "utf-8")
        server = PostgresServer(awkward_folder / "postgres", ports.choose())
        server.start()
        server.stop()
        assert not half.exists()
