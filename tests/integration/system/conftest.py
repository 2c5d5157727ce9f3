"""A system of its own for each test: own database, topics, group, cache prefix and port."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.integration.system.processes import System, free_port, system
from tests.integration.tcp_proxy import TcpProxy


@pytest.fixture
def system_environment(database_dsn: str, redis_url: str, kafka_bootstrap: str) -> dict[str, str]:
    unique = uuid.uuid4().hex[:8]
    return {
        "ORDERS_POSTGRES_DSN": database_dsn,
        "ORDERS_REDIS_URL": redis_url,
        "ORDERS_CACHE_PREFIX": f"test-{unique}",
        "ORDERS_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "ORDERS_KAFKA_TOPIC": f"orders-{unique}",
        "ORDERS_KAFKA_DLQ_TOPIC": f"orders-{unique}.dlq",
        "ORDERS_KAFKA_GROUP": f"orders-group-{unique}",
        "ORDERS_KAFKA_PARTITIONS": "1",  # all messages in the order in which they were sent
        "ORDERS_HTTP_PORT": str(free_port()),
        "ORDERS_LOG_LEVEL": "debug",
        "ORDERS_LOG_FORMAT": "json",
    }


@pytest.fixture
def running(system_environment: dict[str, str], tmp_path: Path) -> Iterator[System]:
    with system(system_environment, tmp_path) as made:
        yield made


@pytest.fixture
def postgres_door(database_dsn: str) -> Iterator[TcpProxy]:
    """A proxy in front of the database that can freeze or end connections."""
    parts = conninfo_to_dict(database_dsn)
    with TcpProxy(str(parts["host"]), int(parts["port"] or 5432)) as proxy:
        yield proxy
