"""Real servers for every integration test; pytest's header says where they come from."""

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration import pgbouncer
from tests.integration.postgres_fixtures import (  # noqa: F401 (fixtures for all below)
    database_dsn,
    distributed_dsn,
    empty_database_dsn,
    schema_dsn,
    template_database,
)
from tests.integration.servers import choice, docker_engine
from tests.integration.servers.session import Servers

_CHOICES = pytest.StashKey[dict[str, choice.Choice]]()
_SHOWN = pytest.StashKey[bool]()


def _choices(config: pytest.Config) -> dict[str, choice.Choice]:
    if _CHOICES not in config.stash:
        config.stash[_CHOICES] = choice.choose(os.environ, docker_engine.ask_engine)
    return config.stash[_CHOICES]


def pytest_report_header(config: pytest.Config) -> list[str]:
    config.stash[_SHOWN] = True
    bouncer = pgbouncer.find() or "missing, its tests are skipped"
    return [*choice.header(_choices(config)), f"pgbouncer: {bouncer}"]


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    # The header is out already when this file is found below another folder that pytest was given.
    return [] if _SHOWN in config.stash else pytest_report_header(config)


@pytest.fixture(scope="session")
def servers(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """All servers, each started at first use."""
    with Servers(_choices(pytestconfig), tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres_dsn(servers: Servers) -> str:
    """DSN of a superuser of the PostgreSQL server; make databases of your own there."""
    return servers.postgres_dsn


@pytest.fixture(scope="session")
def citus_dsn(servers: Servers) -> str:
    """DSN of a superuser on a Citus coordinator; make schemas of your own there."""
    dsn = servers.citus_dsn
    if dsn is None:
        pytest.skip("no Citus cluster: set ORDERS_TEST_CITUS_DSN")
    return dsn


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    """URL of the Redis or Valkey server, shared: use a key prefix of your own."""
    return servers.redis_url


@pytest.fixture(scope="session")
def kafka_bootstrap(servers: Servers) -> str:
    """`host:port` of the broker, shared: use topics and groups of your own."""
    return servers.kafka_bootstrap


@pytest.fixture
def topic_name(request: pytest.FixtureRequest) -> str:
    """A topic name that no other test has; the topic is not made."""
    node: Any = request.node
    return f"{node.originalname.replace('[', '-')[:60]}-{uuid.uuid4().hex[:8]}"
