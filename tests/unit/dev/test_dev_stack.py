"""What `orders dev` fills in, and what it leaves as the user has set it."""

import io
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orders.config import Settings, load
from orders_dev import banner
from orders_dev.data_folder import DataFolder
from orders_dev.dev_stack import (
    SERVER_PORTS,
    DevStack,
    asks_for_http_port,
    choose_http_port,
    choose_server_ports,
    preferred_ports,
    replaced_ports,
)
from orders_dev.errors import UsageError
from orders_dev.ports import choose
from orders_dev.requirements import check_platform

OWN = {
    "ORDERS_POSTGRES_DSN": "postgresql://me:secret@db/mine",
    "ORDERS_REDIS_URL": "redis://:secret@cache/3",
    "ORDERS_KAFKA_BOOTSTRAP": "broker:9092",
}
PORTS = {"postgres": 21001, "valkey": 21002, "kafka": 21003, "controller": 21004, "health": 21005}


def stack(folder: Path) -> DevStack:
    made = DevStack.on(DataFolder(folder), PORTS, 21000)
    made.postgres.password_file.write_text("127.0.0.1:*:*:orders:topsecret\n", "utf-8")
    return made


@given(st.sets(st.sampled_from(sorted(OWN))))
def test_what_the_user_has_set_is_neither_started_nor_changed(
    tmp_path_factory: pytest.TempPathFactory, names: set[str]
) -> None:
    own = {name: OWN[name] for name in names}
    settings = load(own, dotenv=None)
    here = stack(tmp_path_factory.getbasetemp())

    environment = here.child_environment({**own, "PATH": "/bin"}, settings)

    filled = load(environment, dotenv=None)
    assert environment["PATH"] == "/bin"
    assert filled.http_port == 21000
    assert filled.consumer_health_port == 21005
    assert {name: environment[name] for name in names} == own
    if "ORDERS_POSTGRES_DSN" not in names:
        assert filled.postgres_dsn == here.postgres.dsn
    if "ORDERS_REDIS_URL" not in names:
        assert filled.redis_url == "redis://127.0.0.1:21002/0"
    if "ORDERS_KAFKA_BOOTSTRAP" not in names:
        assert filled.kafka_bootstrap == "127.0.0.1:21003"
    assert len(here.servers_needed(settings)) == len(OWN) - len(names)


def test_a_value_from_a_file_counts_as_set_and_is_not_set_twice(tmp_path: Path) -> None:
    secret = tmp_path / "dsn"
    secret.write_text(OWN["ORDERS_POSTGRES_DSN"], "utf-8")
    own = {"ORDERS_POSTGRES_DSN_FILE": str(secret), "ORDERS_HTTP_PORT_FILE": str(secret)}
    settings = load({"ORDERS_POSTGRES_DSN_FILE": str(secret)}, dotenv=None)
    environment = stack(tmp_path).child_environment(own, settings)
    assert load(environment, dotenv=None).postgres_dsn == OWN["ORDERS_POSTGRES_DSN"]


def test_the_banner_shows_where_all_is_and_no_secret(tmp_path: Path) -> None:
    out = io.StringIO()
    banner.show(Console(file=out, width=400), stack(tmp_path), Settings())
    text = out.getvalue()
    for shown in (
        "http://127.0.0.1:21000/docs",
        "127.0.0.1:21003, topic orders",
        "postgresql://orders@127.0.0.1:21001/orders",
        f"PGPASSFILE={tmp_path}/postgres.pgpass psql",
        "redis://127.0.0.1:21002/0",
        "http://127.0.0.1:21005/health/ready",
        str(tmp_path),
        "Ctrl-C",
    ):
        assert shown in text
    assert "topsecret" not in text


def test_the_health_port_of_the_user_is_used(tmp_path: Path) -> None:
    own = {"ORDERS_CONSUMER_HEALTH_PORT": "9999", "ORDERS_CONSUMER_HEALTH_HOST": "::"}
    settings = load(own, dotenv=None)
    assert stack(tmp_path).child_environment(own, settings).items() >= own.items()
    assert stack(tmp_path).health_url(settings) == "http://[::1]:9999"


def test_the_banner_does_not_repeat_the_users_own_addresses(tmp_path: Path) -> None:
    out = io.StringIO()
    banner.show(Console(file=out, width=400), stack(tmp_path), load(OWN, dotenv=None))
    assert "secret" not in out.getvalue()


def test_the_usual_ports_unless_taken_the_last_ones_first() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy, free = taken.getsockname()[1], choose()
        chosen = choose_server_ports({"postgres": free, "kafka": busy})
    assert chosen["postgres"] == free
    assert chosen["kafka"] != busy
    assert set(chosen) == set(SERVER_PORTS)
    assert len(set(chosen.values())) == len(chosen)


def test_every_port_that_was_replaced_is_said_unless_its_server_is_the_users_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        preferred = preferred_ports({"postgres": busy, "kafka": busy})
        chosen = choose_server_ports({"postgres": busy, "kafka": busy})
    said = replaced_ports(preferred, chosen, Settings())
    assert f"Port {busy} is taken: PostgreSQL gets {chosen['postgres']}." in said
    assert f"Port {busy} is taken: Kafka gets {chosen['kafka']}." in said
    own = replaced_ports(preferred, chosen, load(OWN, dotenv=None))
    assert not any("PostgreSQL" in line or "Kafka" in line for line in own)


def test_a_claimed_http_port_counts_as_taken() -> None:
    settings = Settings(http_port=choose())
    with pytest.raises(UsageError, match="is taken by another program"):
        choose_http_port(settings, asked_for=True, claim=lambda _port: False)


def test_a_taken_http_port_is_replaced_only_where_it_was_not_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(http_port=taken.getsockname()[1])
        with pytest.raises(UsageError, match="is taken by another program"):
            choose_http_port(settings, asked_for=True)
        assert choose_http_port(settings, asked_for=False) != settings.http_port


def test_a_free_http_port_is_taken() -> None:
    settings = Settings(http_port=choose())
    assert choose_http_port(settings, asked_for=True) == settings.http_port


@pytest.mark.parametrize(
    ("environment", "file", "asked"),
    [
        ({}, "", False),
        ({"ORDERS_HTTP_PORT": ""}, "", False),
        ({"ORDERS_HTTP_PORT": "8080"}, "", True),
        ({"ORDERS_HTTP_PORT_FILE": "/run/port"}, "", True),
        ({}, "ORDERS_HTTP_PORT=8080\n", True),
        ({"ORDERS_HTTP_PORT": ""}, "ORDERS_HTTP_PORT=8080\n", True),
    ],
)
def test_whether_the_port_was_asked_for(
    tmp_path: Path, environment: dict[str, str], file: str, asked: bool
) -> None:
    (tmp_path / ".env").write_text(file, "utf-8")
    assert asks_for_http_port(environment, tmp_path / ".env") is asked


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:21000"),
        ("0.0.0.0", "http://127.0.0.1:21000"),
        ("::", "http://[::1]:21000"),
        ("192.168.1.5", "http://192.168.1.5:21000"),
    ],
)
def test_where_the_api_is_reached_from_here(tmp_path: Path, host: str, url: str) -> None:
    assert stack(tmp_path).url(Settings(http_host=host)) == url
    with_tls = Settings(http_host=host, http_tls_certificate="api.pem")
    assert stack(tmp_path).url(with_tls) == url.replace("http", "https")


@pytest.mark.parametrize(
    ("system", "abi", "why"),
    [
        ("win32", "cp311-win_amd64", "Linux and macOS, not on win32"),
        ("linux", "cpython-311-x86_64-linux-musl", "musl"),
    ],
)
def test_platforms_without_servers_are_rejected(system: str, abi: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as failure:
        check_platform(system, abi)
    assert "ORDERS_POSTGRES_DSN" in failure.value.advice


@pytest.mark.parametrize(
    ("system", "abi"),
    [("linux", "cpython-311-x86_64-linux-gnu"), ("darwin", "cpython-311-darwin")],
)
def test_platforms_with_servers(system: str, abi: str) -> None:
    check_platform(system, abi)
