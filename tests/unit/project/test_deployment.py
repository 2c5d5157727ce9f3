"""The image and the compose file fit the code: no engine is needed to see that."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from orders.config import load, variables
from orders.entrypoints.cli.main import main

DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


def environment(service: dict[str, Any]) -> dict[str, str]:
    """As compose would set it where nothing is set outside."""
    return {
        name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)
        for name, value in service["environment"].items()
    }


@pytest.mark.parametrize("name", ["api", "consumer"])
def test_our_processes_get_valid_settings(compose: dict[str, Any], name: str) -> None:
    given = environment(compose["services"][name])
    assert set(given) <= {v.name for v in variables()}
    settings = load(given, required=("postgres_dsn", "kafka_bootstrap", "redis_url"), dotenv=None)
    assert settings.kafka_bootstrap == "kafka:9092"


@pytest.mark.parametrize("name", ["api", "consumer"])
def test_they_are_commands_that_exist(compose: dict[str, Any], name: str) -> None:
    (command,) = compose["services"][name]["command"]
    assert command in main.list_commands(None)  # type: ignore[arg-type]


def test_they_start_when_all_servers_are_healthy_and_say_how_they_are(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    for name in ("api", "consumer"):
        after = services[name]["depends_on"]
        assert after == {
            server: {"condition": "service_healthy"} for server in ("postgres", "redis", "kafka")
        }
    assert all("healthcheck" in service for service in services.values())


def test_the_api_is_on_8080_and_nothing_is_open_to_the_network(compose: dict[str, Any]) -> None:
    ports = [p for service in compose["services"].values() for p in service.get("ports", [])]
    assert "127.0.0.1:${ORDERS_HTTP_PORT:-8080}:8080" in ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_data_is_in_volumes(compose: dict[str, Any]) -> None:
    mounted = {v.split(":")[0] for s in compose["services"].values() for v in s.get("volumes", [])}
    assert mounted == set(compose["volumes"])


def test_the_image_runs_as_nobody_in_particular_and_takes_hashed_packages_only() -> None:
    lines = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^USER (\d+)$", lines, re.MULTILINE)[-1] != "0"
    installs = re.findall(r"pip install (.*?)(?: \\)?$", lines, re.MULTILINE)
    assert len(installs) == 3
    assert all("--require-hashes" in i or i == "--no-deps dist/*.whl" for i in installs)
    copied = [
        w
        for line in re.findall(r"^COPY (?!--from)(.*)$", lines, re.MULTILINE)
        for w in line.split()
    ]
    for path in copied[:-1]:
        assert path in {"./", "src"} or (DEPLOY.parent / path).exists(), path
