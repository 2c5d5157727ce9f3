"""The servers of the drills: embedded ones of their own, to be stopped, killed and frozen."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from drills.harmed import Harmed
from drills.local_postgres import LocalPostgres
from orders_dev import ports
from orders_dev.kafka import KafkaBroker, new_cluster_id
from orders_dev.postgres import PostgresServer
from orders_dev.server import Server
from orders_dev.valkey import ValkeyServer
from tests.integration.postgres_fixtures import (
    create_database,
    create_distributed_schema,
    drop_database,
    drop_schema,
    migrate,
)

_WORKERS = "SELECT nodename, nodeport FROM pg_dist_node WHERE groupid > 0 AND shouldhaveshards"
_OTHER_PROCESSES = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"


class HarmedServer(Harmed):
    """A server of the drills. ``server`` is the thing itself."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def start(self) -> None:
        """See ``Harmed.start``."""
        if not self.server.running:
            self.server.start()

    def stop(self) -> None:
        """See ``Harmed.stop``."""
        self.thaw()
        self.server.stop()

    def kill(self) -> None:
        """See ``Harmed.kill``."""
        self.send(signal.SIGKILL)
        self.server.stop()

    def send(self, number: signal.Signals) -> None:
        """See ``Harmed.send``."""
        if self.server.running and self.server.pid is not None:
            os.kill(self.server.pid, number)


class HarmedPostgres(HarmedServer):
    """PostgreSQL, which is many processes. To freeze it, put a TcpProxy before it."""

    def __init__(self, server: PostgresServer) -> None:
        super().__init__(server)
        self._postgres = server

    def kill(self) -> None:
        """End all its processes by SIGKILL, as a machine does that loses its power."""
        with psycopg.connect(self._postgres.dsn) as connection:
            found = connection.execute(_OTHER_PROCESSES).fetchall()
        # The first process first: it would treat the death of another as a crash, and restart it.
        self.send(signal.SIGKILL)
        for (pid,) in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.server.stop()


class Servers:
    """PostgreSQL, Valkey and Kafka in one folder; Kafka with one broker or several.

    ``workers``: those of a Citus cluster.
    """

    workers: Sequence[Harmed] = ()

    def __init__(self, folder: Path, brokers: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._taken: set[int] = set()
        self._postgres = PostgresServer(folder / "postgres", self._port())
        self._valkey = ValkeyServer(folder / "valkey", self._port())
        self.postgres: Harmed = HarmedPostgres(self._postgres)
        self.redis: Harmed = HarmedServer(self._valkey)
        controllers = {node: self._port() for node in range(1, brokers + 1)}
        cluster_id = new_cluster_id()
        self._detour = self._port(), self._port()
        self._brokers = [
            KafkaBroker(
                folder / f"kafka-{node}",
                self._port(),
                controller,
                node_id=node,
                voters=controllers,
                cluster_id=cluster_id,
                detour=self._detour if brokers == 1 else None,
            )
            for node, controller in controllers.items()
        ]
        self.brokers: list[Harmed] = [HarmedServer(broker) for broker in self._brokers]

    @property
    def broker(self) -> Harmed:
        """The broker, where there is only one."""
        [broker] = self.brokers
        return broker

    @property
    def detour(self) -> tuple[int, int]:
        """A second port of the one broker, and the port of the proxy to be put before it."""
        return self._detour

    def kafka_log(self, topic: str, partition: int) -> Path:
        """The file in which the one broker keeps what it was sent; to be touched while it is down.

        Of a partition that has not outgrown its first segment.
        """
        [broker] = self._brokers
        return broker.folder / "log" / f"{topic}-{partition}" / f"{0:020}.log"

    @property
    def primary(self) -> PostgresServer:
        """The PostgreSQL server, to make a standby of it."""
        return self._postgres

    @property
    def postgres_dsn(self) -> str:
        """DSN of a superuser."""
        return self._postgres.dsn

    def create_database(self) -> str:
        """Make a migrated database; returns its DSN."""
        dsn = create_database(self.postgres_dsn)
        asyncio.run(migrate(dsn))
        return dsn

    def drop_database(self, dsn: str) -> None:
        """Drop a database that ``create_database`` made."""
        drop_database(self.postgres_dsn, dsn)

    @property
    def redis_url(self) -> str:
        """URL of Valkey."""
        return self._valkey.url

    @property
    def bootstrap(self) -> str:
        """host:port of each broker, comma-separated."""
        return ",".join(broker.bootstrap for broker in self._brokers)

    def heal(self) -> None:
        """Have all of them up."""
        self._each(lambda server: server.heal())

    def stop(self) -> None:
        """Stop all of them."""
        self._each(lambda server: server.stop())

    def _each(self, do: Callable[[Harmed], None]) -> None:
        # At once: of several brokers none is ready before the others are.
        servers = (self.postgres, *self.workers, self.redis, *self.brokers)
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(do, servers))

    def _port(self) -> int:
        port = ports.choose(taken=self._taken)
        self._taken.add(port)
        return port


class CitusServers(Servers):
    """With a Citus cluster of this machine in place of PostgreSQL.

    ``dsn``: of a superuser on its coordinator, which the workers accept as well.
    """

    def __init__(self, folder: Path, dsn: str) -> None:
        super().__init__(folder)
        self._dsn = dsn
        self.postgres = LocalPostgres(dsn)
        with psycopg.connect(dsn, autocommit=True) as connection:
            # A session's own does not reach the workers.
            connection.execute("ALTER ROLE CURRENT_USER SET lock_timeout = '5s'")
            found = connection.execute(_WORKERS).fetchall()
        self.workers = [
            LocalPostgres(make_conninfo(dsn, host=host, port=port)) for host, port in found
        ]

    def create_database(self) -> str:
        """Make a schema with distributed tables; returns a DSN for it."""
        return create_distributed_schema(self._dsn)

    def drop_database(self, dsn: str) -> None:
        """Drop a schema that ``create_database`` made."""
        drop_schema(self._dsn, dsn)

    def stop(self) -> None:
        """Stop all but the cluster, which belongs to somebody else."""
        self.heal()
        for server in (self.redis, *self.brokers):
            server.stop()
