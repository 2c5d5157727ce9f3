"""The options of the client that follow from the settings."""

import socket

import pytest

from orders.adapters.kafka.client.consumer_client import session_options
from orders.adapters.kafka.client.settings import client_options, new_client_id
from orders.adapters.kafka.consumer.consumer_thread import revoke_wait
from orders.bootstrap import build
from orders.config import Settings

SETTINGS = Settings(postgres_dsn="host=db.invalid", kafka_bootstrap="broker:9092")


@pytest.mark.parametrize("process", ["api", "consumer"])
def test_the_client_id_names_process_and_host(process: str) -> None:
    options = client_options(build(SETTINGS, process).kafka_settings())
    assert options["client_id"] == f"orders-{process}-{socket.gethostname()}"


def test_it_has_only_characters_that_brokers_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Mary's laptop:2/ü")
    assert new_client_id("api") == "orders-api-Mary-s-laptop-2--"


@pytest.mark.parametrize("seconds", [1, 6, 10, 300])
def test_a_rebalance_that_waits_for_batches_leaves_time_for_a_heartbeat(seconds: int) -> None:
    options = session_options(seconds)
    assert options["session_timeout_ms"] == seconds * 1_000 < options["request_timeout_ms"]
    silent = options["heartbeat_interval_ms"] / 1_000 + revoke_wait(seconds)
    assert silent <= seconds * 0.95
