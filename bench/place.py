"""Where the bench takes place: servers and databases of its own, and what is put into them."""

import asyncio
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Producer
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from bench.documents import COLUMNS
from bench.load import Spec
from bench.sizes import Sizes
from drills.servers import Servers
from drills.topics import Topics
from orders_dev.postgres import program
from tests.integration.postgres_fixtures import create_database, drop_database, migrate

ROOT = Path(__file__).parents[1]
_LOAD_EXTRA_SECONDS = 60.0
_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = ANY (%s::regclass[]) AND contype IN ('p', 'f')
    ORDER BY contype DESC  -- a foreign key needs the primary one
"""
_INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY (%s)"


class CheckFailed(Exception):
    """What is stored or answered is not what was sent."""


def check(condition: object, problem: str) -> None:  # an assert would be gone under -O
    """Raise ``CheckFailed`` unless it holds."""
    if not condition:
        raise CheckFailed(problem)


class Place:
    """Servers in ``folder``, and what the rows of the bench need of them.

    Attributes:
        servers: the three of them, running.
        sizes: how much of everything.
        say: shows progress.
        skipped: what the product could not be measured beside, and why.
        closing: what is to be ended with the place.
    """

    def __init__(self, folder: Path, sizes: Sizes, say: Callable[[str], None]) -> None:
        self.folder, self.sizes, self.say = folder, sizes, say
        self.servers = Servers(folder / "servers")
        self.skipped: dict[str, str] = {}
        self.closing = ExitStack()
        self._template = ""
        self._numbers: dict[str, int] = {}

    def open(self) -> None:
        """Start the servers; to be closed also where this fails."""
        self.servers.heal()
        self.topics = Topics(self.servers.bootstrap, "bench", self.say)
        self.closing.callback(self.topics.close)
        template = create_database(self.servers.postgres_dsn)
        asyncio.run(migrate(template))
        self._template = str(conninfo_to_dict(template)["dbname"])

    def close(self) -> None:
        """Stop everything."""
        try:
            self.closing.close()
        finally:
            self.servers.stop()

    def new_name(self, kind: str) -> str:
        """A name that nothing has yet, for a topic, a group or a prefix."""
        self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return f"bench-{kind}-{self._numbers[kind]}"

    @contextmanager
    def database(self, like: str = "") -> Iterator[str]:
        """The DSN of a new database with the empty tables, or a copy of the one ``like``."""
        template = str(conninfo_to_dict(like)["dbname"]) if like else self._template
        dsn = create_database(self.servers.postgres_dsn, template)
        try:
            yield dsn
        finally:
            drop_database(self.servers.postgres_dsn, dsn)

    def environment(self, dsn: str, topic: str = "", **more: str) -> dict[str, str]:
        """The settings of a process of the product, with a cache and a group of its own."""
        topic = topic or self.new_name("topic")
        return {
            "ORDERS_POSTGRES_DSN": dsn,
            "ORDERS_REDIS_URL": self.servers.redis_url,
            "ORDERS_CACHE_PREFIX": self.new_name("cache"),
            "ORDERS_KAFKA_BOOTSTRAP": self.servers.bootstrap,
            "ORDERS_KAFKA_TOPIC": topic,
            "ORDERS_KAFKA_DLQ_TOPIC": f"{topic}.dlq",
            "ORDERS_KAFKA_GROUP": self.new_name("group"),
            "ORDERS_KAFKA_PARTITIONS": "1",
            "ORDERS_LOG_FORMAT": "json",
            **more,
        }

    def produce(self, values: Sequence[bytes], partitions: int = 1) -> str:
        """Send them to a new topic, each a message without a key; returns its name."""
        topic = self.new_name("topic")
        self.topics.create(topic, partitions)
        self.topics.create(f"{topic}.dlq", 1)
        self.send(topic, values, partitions)
        return topic

    def send(self, topic: str, values: Sequence[bytes], partitions: int = 1) -> None:
        """Send them to a topic that holds nothing yet, to its partitions in turn."""
        producer = Producer(
            {
                "bootstrap.servers": self.servers.bootstrap,
                "log_level": 0,
                "linger.ms": 20,
                "queue.buffering.max.messages": len(values) + 1,
                "queue.buffering.max.kbytes": 1_000_000,
            }
        )
        for at, value in enumerate(values):
            producer.produce(topic, value, partition=at % partitions)
        check(producer.flush(120) == 0, "the broker did not take all messages")
        check(sum(self.topics.ends(topic)) == len(values), "the topic does not hold all messages")

    def copy(self, dsn: str, files: Mapping[str, Path], *, trusted: bool = False) -> float:
        """COPY the files into the tables in one transaction; returns the seconds it took.

        ``trusted``: without a look at foreign keys, for filling a database that is not measured.
        """
        with psycopg.connect(dsn) as connection:
            if trusted:
                connection.execute("SET session_replication_role = replica")
            connection.commit()
            started = time.perf_counter()
            for table, columns in COLUMNS.items():
                names = sql.SQL(", ").join(map(sql.Identifier, columns))
                statement = sql.SQL("COPY {} ({}) FROM {}")
                name = sql.Literal(str(files[table]))
                connection.execute(statement.format(sql.Identifier(table), names, name))
            connection.commit()
            return time.perf_counter() - started

    @contextmanager
    def without_indexes(self, dsn: str) -> Iterator[None]:
        """Take keys and indexes off the tables for the block: so filling takes a tenth."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            constraints = connection.execute(_CONSTRAINTS, [list(COLUMNS)]).fetchall()
            for table, name, _ in reversed(constraints):
                connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}".encode())
            indexes = connection.execute(_INDEXES, [list(COLUMNS)]).fetchall()
            for name, _ in indexes:
                connection.execute(f"DROP INDEX {name}".encode())
            yield
            connection.execute("SET maintenance_work_mem = '1GB'")
            for _, definition in indexes:
                connection.execute(definition.encode())
            for table, name, definition in constraints:
                connection.execute(
                    f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}".encode()
                )

    def settle(self, dsn: str = "") -> None:
        """What would else happen in the middle of what is measured: statistics, a checkpoint."""
        with psycopg.connect(dsn or self.servers.postgres_dsn, autocommit=True) as connection:
            if dsn:
                connection.execute("VACUUM (ANALYZE) ")
            connection.execute("CHECKPOINT")

    def ask(self, dsn: str, statement: str) -> Any:
        """The one value that a statement of ours gives."""
        with psycopg.connect(dsn) as connection:
            found = connection.execute(statement.encode()).fetchone()
            assert found is not None
            return found[0]

    def digests(self, dsn: str, uids: Sequence[str] | None = None) -> dict[str, str]:
        """A digest of all that each table holds, to be compared with ``documents.digests``.

        ``uids``: only of these orders.
        """
        where: sql.Composable = sql.SQL("")
        if uids is not None:
            where = sql.SQL("WHERE order_uid = ANY({})").format(sql.Literal(list(uids)))
        found = {}
        with psycopg.connect(dsn) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for table, columns in COLUMNS.items():
                names = sql.SQL(", ").join(map(sql.Identifier, columns))
                order = sql.SQL("order_uid, position" if table == "items" else "order_uid")
                template = sql.SQL("COPY (SELECT {} FROM {} {} ORDER BY {}) TO STDOUT")
                statement = template.format(names, sql.Identifier(table), where, order)
                digest = hashlib.sha256()
                with (
                    connection.cursor() as cursor,
                    cursor.copy(statement) as copy,
                ):
                    for data in copy:
                        digest.update(data)
                found[table] = digest.hexdigest()
        return found

    def load(self, **what: Any) -> dict[str, Any]:
        """Put load on a server; see ``bench.load.Spec``.

        Raises:
            CheckFailed: an answer was not as it must be.
        """
        spec = Spec(**({"seconds": self.sizes.seconds, "warm_up": self.sizes.warm_up} | what))
        done = subprocess.run(
            [sys.executable, "-m", "bench.load"],
            input=json.dumps(spec._asdict()).encode(),
            stdout=subprocess.PIPE,
            cwd=ROOT,
            timeout=spec.seconds + spec.warm_up + _LOAD_EXTRA_SECONDS,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        check(not found["failures"], f"wrong answers: {found['failures'][:3]}")
        check(found["requests"] > 0, "not one answer")
        return found

    def file(self, name: str, lines: Sequence[bytes]) -> str:
        """Lines to be read by the load generator; the path."""
        path = self.folder / name
        path.write_bytes(b"\n".join(lines))
        return str(path)

    def program(self, name: str) -> str:
        """The path of a program that comes with the embedded PostgreSQL."""
        return str(program(name))
