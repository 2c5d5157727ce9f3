"""The servers that the drills harm: embedded ones of their own, whatever the other tests run on."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drills.drill import CITUS
from drills.servers import CitusServers, Servers


@pytest.fixture(scope="session")
def drill_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the data and the logs of all drills."""
    return tmp_path_factory.mktemp("drills")


@pytest.fixture(scope="session")
def one_broker(drill_folder: Path) -> Iterator[Servers]:
    """With one broker."""
    yield from _running(Servers(drill_folder / "servers-1"))


@pytest.fixture(scope="module")
def three_brokers(drill_folder: Path) -> Iterator[Servers]:
    """With three brokers; they need a gigabyte, so not longer than necessary."""
    yield from _running(Servers(drill_folder / "servers-3", brokers=3))


@pytest.fixture(scope="session")
def citus(drill_folder: Path) -> Iterator[Servers]:
    """With a Citus cluster."""
    yield from _running(CitusServers(drill_folder / "servers-citus", os.environ[CITUS]))


def _running(servers: Servers) -> Iterator[Servers]:
    try:
        servers.heal()
        yield servers
    finally:
        servers.stop()
