"""The options of the client that follow from the settings."""

import socket

import pytest

from orders.adapters.kafka.client.settings import client_options, new_client_id
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
