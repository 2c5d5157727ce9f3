"""The embedded servers in a folder of this session."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orders_dev import ports
from orders_dev.kafka import KafkaBroker
from orders_dev.postgres import PostgresServer
from orders_dev.server import Server
from orders_dev.valkey import ValkeyServer


@contextmanager
def running(server: Server) -> Iterator[None]:
    """Start the server; stop it afterwards."""
    server.start()
    try:
        yield
    finally:
        server.stop()


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run PostgreSQL; the DSN of its superuser."""
    server = PostgresServer(folder / "postgres", ports.choose())
    with running(server):
        yield server.dsn


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run Valkey; its URL."""
    server = ValkeyServer(folder / "valkey", ports.choose())
    with running(server):
        yield server.url


@contextmanager
def kafka(folder: Path) -> Iterator[str]:
    """Run Apache Kafka; its `host:port`."""
    port = ports.choose()
    server = KafkaBroker(folder / "kafka", port, ports.choose(taken={port}))
    with running(server):
        yield server.bootstrap
