"""The settings: where they come from, and that every fault is told at once."""

from pathlib import Path
from typing import Any

import pytest

from orders.config import ConfigError, Settings, load, shown, unknown, variables

DSN = "postgresql://u:hunter2@db/orders"


def settings(*, dotenv: Path | None = None, **environment: Any) -> Settings:
    return load({f"ORDERS_{k}": v for k, v in environment.items()}, dotenv=dotenv)


def faults(required: tuple[str, ...] = (), **environment: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load({f"ORDERS_{k}": v for k, v in environment.items()}, required=required, dotenv=None)
    return caught.value.faults


def test_the_documented_defaults() -> None:
    defaults = {v.name: v.default for v in variables()}
    assert defaults["ORDERS_POSTGRES_POOL_MAX"] == "8"
    assert defaults["ORDERS_CACHE_CAPACITY"] == "200"
    assert defaults["ORDERS_CACHE_PREFIX"] == "orders"
    assert defaults["ORDERS_KAFKA_TOPIC"] == "orders"
    assert defaults["ORDERS_KAFKA_DLQ_TOPIC"] == "orders.dlq"
    assert defaults["ORDERS_KAFKA_GROUP"] == "orders-group"
    assert defaults["ORDERS_KAFKA_SECURITY_PROTOCOL"] == "PLAINTEXT"
    assert defaults["ORDERS_HTTP_HOST"] == "127.0.0.1"
    assert defaults["ORDERS_HTTP_PORT"] == "8080"
    assert defaults["ORDERS_RANDOM_MAX"] == "1000"
    assert defaults["ORDERS_MIGRATE_ON_START"] == "true"
    assert defaults["ORDERS_LOG_FORMAT"] == "auto"
    assert [n for n, d in defaults.items() if d is None][:3] == [
        "ORDERS_POSTGRES_DSN",
        "ORDERS_REDIS_URL",
        "ORDERS_KAFKA_BOOTSTRAP",
    ]


def test_values_are_read_as_their_types() -> None:
    read = settings(HTTP_PORT="81", MIGRATE_ON_START="false", LOG_LEVEL="debug", POSTGRES_DSN=DSN)
    assert (read.http_port, read.migrate_on_start, read.log_level) == (81, False, "debug")
    assert read.postgres_dsn == DSN


@pytest.mark.parametrize("value", ["true", "1"])
def test_true_can_be_said_in_two_ways(value: str) -> None:
    assert settings(MIGRATE_ON_START=value).migrate_on_start is True


def test_every_fault_is_told_at_once_by_name_and_rule_and_without_the_value() -> None:
    told = faults(
        ("kafka_instance_id",),
        HTTP_PORT="99999",
        HTTP_WORKERS="none",
        LOG_LEVEL="loud",
        MIGRATE_ON_START="maybe",
        POSTGRES_DSN="hunter2 @",
        REDIS_URL="http://hunter2",
        KAFKA_BOOTSTRAP="broker",
    )
    assert [fault.split(":")[0] for fault in told] == [
        "ORDERS_POSTGRES_DSN",
        "ORDERS_REDIS_URL",
        "ORDERS_KAFKA_BOOTSTRAP",
        "ORDERS_KAFKA_INSTANCE_ID",
        "ORDERS_HTTP_PORT",
        "ORDERS_HTTP_WORKERS",
        "ORDERS_MIGRATE_ON_START",
        "ORDERS_LOG_LEVEL",
    ]
    assert "hunter2" not in "".join(told)
    assert "must be a port from 1 to 65535" in told[4]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_DSN", "postgresql://h/x?nonsense=1"),
        ("REDIS_URL", "redis://"),
        ("KAFKA_BOOTSTRAP", "a:9092,b"),
        ("KAFKA_BOOTSTRAP", "a:notaport"),
        ("KAFKA_BOOTSTRAP", ":9092"),
        ("KAFKA_DLQ_TOPIC", "orders"),
        ("CACHE_CAPACITY", "0"),
        ("CACHE_PREFIX", "{a}"),
        ("HTTP_PORT", "0"),
        ("KAFKA_SASL_MECHANISM", "MAGIC"),
    ],
)
def test_what_is_refused(name: str, value: str) -> None:
    environment: dict[str, Any] = {name: value}
    assert len(faults(**environment)) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_DSN", "host=db dbname=orders password='a b'"),
        ("REDIS_URL", "redis+cluster://a:7000,b:7001"),
        ("REDIS_URL", "rediss://:secret@cache:6380/1"),
        ("KAFKA_BOOTSTRAP", "a:9092, [::1]:9093"),
    ],
)
def test_what_is_taken(name: str, value: str) -> None:
    environment: dict[str, Any] = {name: value}
    assert getattr(settings(**environment), name.lower()) == value


def test_sasl_asks_for_its_parts() -> None:
    assert len(faults(KAFKA_SECURITY_PROTOCOL="SASL_SSL")) == 3


def test_an_empty_value_counts_as_unset() -> None:
    assert settings(REDIS_URL="", HTTP_PORT="").http_port == 8080


def test_a_value_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "dsn"
    secret.write_text(DSN + "\n")
    assert settings(POSTGRES_DSN_FILE=str(secret)).postgres_dsn == DSN
    assert "both" in faults(POSTGRES_DSN=DSN, POSTGRES_DSN_FILE=str(secret))[0]
    assert "cannot be read" in faults(POSTGRES_DSN_FILE=str(tmp_path / "none"))[0]


def test_a_dotenv_file_fills_in_what_the_environment_does_not_set(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text('ORDERS_HTTP_PORT=81\nORDERS_KAFKA_TOPIC="t"\nORDERS_POSTGRES_DSN=host=a\n')
    secret = tmp_path / "dsn"
    secret.write_text("host=b")
    read = settings(dotenv=dotenv, HTTP_PORT="82", POSTGRES_DSN_FILE=str(secret))
    assert (read.http_port, read.kafka_topic, read.postgres_dsn) == (82, "t", "host=b")


def test_secrets_are_hidden_when_shown_and_in_a_repr() -> None:
    read = settings(POSTGRES_DSN=DSN, REDIS_URL="redis://:hunter2@h", KAFKA_SASL_PASSWORD="hunter2")
    assert "hunter2" not in str(shown(read)) + repr(read) + str(read)
    assert shown(read)["ORDERS_HTTP_PORT"] == "8080"
    assert shown(read)["ORDERS_KAFKA_BOOTSTRAP"] is None


def test_a_misspelt_name_is_noticed() -> None:
    environment = {"ORDERS_HTTP_PROT": "1", "ORDERS_HTTP_PORT_FILE": "x", "ORDERS_TEST_X": "1"}
    assert unknown(environment, dotenv=None) == ["ORDERS_HTTP_PROT"]
