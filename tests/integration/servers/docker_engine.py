"""Servers in containers, by testcontainers."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import docker  # type: ignore[import-untyped]
from testcontainers.community.postgres import PostgresContainer
from testcontainers.community.valkey import ValkeyContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import get_docker_host
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from orders_dev import ports

from .choice import Engine

POSTGRES_IMAGE = "postgres:18.6"
VALKEY_IMAGE = "valkey/valkey:9.1.2"
CITUS_IMAGE = "citusdata/citus:14.0.1"
KAFKA_IMAGE = "apache/kafka:4.3.1"
_PING_SECONDS = 3
_START_SECONDS = 120
_KAFKA_PORT = 9092


def ask_engine() -> Engine:
    """Ask the engine itself: a command-line client alone runs no container."""
    host = get_docker_host()
    client = None
    try:
        if host:
            client = docker.DockerClient(base_url=host, timeout=_PING_SECONDS)
        else:
            client = docker.from_env(timeout=_PING_SECONDS)
        client.ping()
    except Exception as error:  # noqa: BLE001, whatever it is, there is no engine to use
        return Engine(answers=False, detail=f"no Docker engine answers: {type(error).__name__}")
    finally:
        if client is not None:
            client.close()
    return Engine(answers=True, detail="a Docker engine answers")


def postgres(image: str = POSTGRES_IMAGE) -> AbstractContextManager[str]:
    """Run PostgreSQL; the DSN of its superuser."""
    container = PostgresContainer(
        image, username="orders", password="orders", dbname="orders", driver=None
    )
    return _postgres(container)


def citus() -> AbstractContextManager[str]:
    """Run Citus, whose coordinator holds the shards itself; the DSN of its superuser."""
    return postgres(CITUS_IMAGE)


@contextmanager
def _postgres(container: PostgresContainer) -> Iterator[str]:
    with container:
        host, port = container.get_container_host_ip(), int(container.get_exposed_port(5432))
        yield postgres_dsn(host, port)


def postgres_dsn(host: str, port: int) -> str:
    """The DSN of the container above."""
    return f"postgresql://orders:orders@{_bracketed(host)}:{port}/orders"


@contextmanager
def redis() -> Iterator[str]:
    """Run Valkey; its URL."""
    with ValkeyContainer(VALKEY_IMAGE) as container:
        yield redis_url(container.get_container_host_ip(), container.get_exposed_port())


def redis_url(host: str, port: int) -> str:
    """A URL that Redis clients know (the container's own begins with valkey://)."""
    return f"redis://{_bracketed(host)}:{port}/0"


@contextmanager
def kafka() -> Iterator[str]:
    """Run Apache Kafka; its `host:port`.

    testcontainers has a class for Confluent's image only. A broker tells its clients where it is,
    so the port outside is chosen before it starts.
    """
    container = DockerContainer(KAFKA_IMAGE)
    host, port = container.get_container_host_ip(), ports.choose()
    container.with_bind_ports(_KAFKA_PORT, port)
    container.with_envs(**kafka_environment(host, port))
    container.waiting_for(
        LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(_START_SECONDS)
    )
    with container:
        yield f"{_bracketed(host)}:{port}"


def kafka_environment(host: str, port: int) -> dict[str, str]:
    """The settings of the image for one broker that clients reach at `host` and `port`."""
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{_KAFKA_PORT},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{_bracketed(host)}:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
    }


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
