"""Two versions side by side in an update with a migration, and a restart of the older one."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders import order_bytes
from tests.integration.system import newer_version
from tests.integration.system.processes import START_SECONDS, System, free_port, system
from tests.waiting import wait_until

NEWER = newer_version.__name__


@pytest.fixture
def newer(system_environment: dict[str, str], tmp_path: Path) -> Iterator[System]:
    (folder := tmp_path / "newer").mkdir()
    environment = system_environment | {"ORDERS_HTTP_PORT": str(free_port())}
    with system(environment, folder, module=NEWER) as made:
        yield made


def readiness(url: str) -> dict[str, Any] | None:
    try:
        answer = httpx.get(f"{url}/health/ready")
    except httpx.TransportError:
        return None
    found: dict[str, Any] = answer.json()
    return found | {"status": answer.status_code}


def until_state(url: str, state: str) -> dict[str, Any]:
    def ask() -> dict[str, Any] | None:
        found = readiness(url)
        return found if found and found["state"] == state else None

    return wait_until(ask, START_SECONDS, f"{url} is {state}", partial(str, readiness(url)))


def test_both_versions_are_ready_and_the_older_one_restarts(running: System, newer: System) -> None:
    older_api = f"http://127.0.0.1:{running.port}"
    health = free_port()
    running.start("consumer", ORDERS_CONSUMER_HEALTH_PORT=str(health))
    running.start_api()
    running.send(order_bytes("before"))
    running.order("before")
    newer.start_api()
    assert until_state(f"http://127.0.0.1:{newer.port}", "ready")["status"] == 200
    for _ in range(2):
        for url in (older_api, f"http://127.0.0.1:{health}"):
            found = until_state(url, "degraded")
            assert found["status"] == 200
            assert found["parts"]["postgres"]["state"] == "degraded"
            assert "it works" in found["parts"]["postgres"]["reason"]
        assert running.stop("api") == running.stop("consumer") == 0
        running.start("consumer", ORDERS_CONSUMER_HEALTH_PORT=str(health))
        running.start_api()
    running.send(order_bytes("after"))
    assert running.order("after").content == newer.order("after").content
