"""Why the brokers cannot be used: said once in the log, in health, doctor and `orders dlq`."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from structlog.testing import capture_logs

from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.dead_letter_reader import KafkaDeadLetterReader
from orders.adapters.kafka.inspection import KafkaInspection
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.adapters.kafka.replay_journal import KafkaReplayJournal
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from orders.domain.errors import Unavailable
from orders_dev import ports
from orders_dev.kafka import KafkaBroker
from tests.contracts.inspection import SECRET
from tests.integration.kafka.certificates import Authority
from tests.integration.kafka.fake_broker import announce, answer_in_tls, fake_broker, refuse_login
from tests.integration.kafka.sasl_broker import SaslBroker
from tests.integration.opened import opened
from tests.waiting import says, until

TRIES = 7
"""Connections of consumer and producer together after which each has tried again several times."""


class Case(NamedTuple):
    """Settings that do not work, the cause in words, and a word of the advice."""

    settings: KafkaSettings
    reason: str
    advice: str
    seen: list[float]


def settings_for(bootstrap: str, **others: Any) -> KafkaSettings:
    settings = to_kafka_settings(Settings(kafka_bootstrap=bootstrap))
    return msgspec.structs.replace(settings, **others)


def login(mechanism: str = "SCRAM-SHA-256", protocol: str = "SASL_PLAINTEXT") -> dict[str, Any]:
    return {
        "security_protocol": protocol,
        "sasl_mechanism": mechanism,
        "sasl_username": "alice",
        "sasl_password": SECRET,
    }


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    return Authority(tmp_path_factory.mktemp("tls") / "ca")


TLS = {
    "expired": ("has expired", "renew"),
    "other host": ("is for another host name", "advertised.listeners"),
    "unknown authority": ("an authority that is not trusted", "ORDERS_KAFKA_SSL_CAFILE"),
    "no file": ("a file of certificates cannot be read", "ORDERS_KAFKA_SSL_CAFILE"),
    "no tls": ("during the TLS handshake", "ORDERS_KAFKA_SECURITY_PROTOCOL"),
    "login": ("refuse the login", "ORDERS_KAFKA_SASL_PASSWORD"),
    "only tls": ("another protocol, or TLS", "ORDERS_KAFKA_SECURITY_PROTOCOL"),
}


@pytest.fixture(params=TLS)
def case(request: pytest.FixtureRequest, authority: Authority, tmp_path: Path) -> Iterator[Case]:
    name = request.param
    seen: list[float] = []
    context = None
    options: dict[str, Any] = {"security_protocol": "SSL", "ssl_cafile": authority.file}
    behaviour = announce(0)
    match name:
        case "expired":
            context = authority.issue(end="20210101000000Z")
        case "other host":
            context = authority.issue("DNS:other.example")
        case "unknown authority":
            context = authority.issue()
            options["ssl_cafile"] = Authority(tmp_path / "other").file
        case "no file":
            context = authority.issue()
            options["ssl_cafile"] = str(tmp_path / "missing.pem")
        case "no tls":
            behaviour = lambda connection: connection.close()  # noqa: E731
        case "login":
            context = authority.issue()
            options |= login(protocol="SASL_SSL")
            behaviour = refuse_login
        case "only tls":
            behaviour = answer_in_tls
            options = {}
    with fake_broker(behaviour, context, seen) as bootstrap:
        reason, advice = TLS[name]
        yield Case(settings_for(bootstrap, **options), reason, advice, seen)


async def test_the_cause_is_said_everywhere_and_logged_once(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    (finding,) = await KafkaInspection(case.settings).inspect()
    assert case.reason in finding.text
    assert case.advice in finding.advice
    with pytest.raises(Unavailable, match=case.reason):
        await KafkaDeadLetterReader(case.settings).approximate_count()
    client = KafkaProducerClient(case.settings, ensures="none")
    with pytest.raises(Unavailable, match=case.reason):
        await KafkaReplayJournal(client, case.settings).note({})
    case.seen.clear()
    source, producer = KafkaMessageSource(case.settings), KafkaProducerClient(case.settings)
    with capture_logs() as lines:
        async with opened(source), opened(producer):
            await until(lambda: says(source, case.reason), "the source says so", 30)
            await until(lambda: says(producer, case.reason), "the producer says so", 30)
            await until(lambda: len(case.seen) >= TRIES, "several tries", 60)
    tries = [line for line in lines if line["event"].endswith("tries again")]
    assert {line["event"] for line in tries} == {"consumer tries again", "producer tries again"}
    assert len(tries) == 2
    assert all(case.reason in line["reason"] for line in tries)
    assert not [record for record in caplog.records if record.name == "root"]
    everything = f"{finding}{lines}{[record.getMessage() for record in caplog.records]}"
    assert SECRET not in everything


@pytest.fixture(scope="module")
def listeners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SaslBroker]:
    broker = SaslBroker(tmp_path_factory.mktemp("secure") / "kafka", {"alice": "right"})
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (login("SCRAM-SHA-256"), "the brokers refuse the login"),
        (login("PLAIN"), "the brokers refuse the login"),
        (login("SCRAM-SHA-512"), "the brokers do not offer this SASL mechanism"),
        ({}, "the brokers close the connection"),
        ({"security_protocol": "SSL"}, "the connection is closed during the TLS handshake"),
    ],
    ids=["scram", "plain", "mechanism", "no login", "tls"],
)
async def test_a_real_broker_that_wants_a_login(
    listeners: SaslBroker, options: dict[str, Any], reason: str
) -> None:
    settings = settings_for(listeners.sasl, **options)
    (finding,) = await KafkaInspection(settings).inspect()
    assert reason in finding.text
    source = KafkaMessageSource(settings)
    async with opened(source):
        await until(lambda: says(source, reason), "the source says so", 30)


async def test_a_real_broker_that_takes_no_login(listeners: SaslBroker) -> None:
    settings = settings_for(listeners.bootstrap, **login("PLAIN"))
    (finding,) = await KafkaInspection(settings).inspect()
    assert "the brokers take no login on this port" in finding.text


async def test_with_the_right_password_all_works(listeners: SaslBroker) -> None:
    settings = settings_for(listeners.sasl, **login("PLAIN") | {"sasl_password": "right"})
    findings = await KafkaInspection(settings).inspect()
    assert findings[0].state == "ok"


async def test_advertised_listeners_that_cannot_be_reached(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    port, controller, detour, nowhere = (ports.choose() for _ in range(4))
    folder = tmp_path_factory.mktemp("advertised") / "kafka"
    broker = KafkaBroker(folder, port, controller, detour=(detour, nowhere))
    broker.start()
    try:
        settings = settings_for(f"127.0.0.1:{detour}")
        (finding,) = await KafkaInspection(settings).inspect()
        assert f"the brokers advertise 127.0.0.1:{nowhere}" in finding.text
        assert "advertised.listeners" in finding.advice
        source = KafkaMessageSource(settings)
        async with opened(source):
            await until(lambda: says(source, "nothing listens"), "the source says so", 30)
    finally:
        broker.stop()


@pytest.fixture(autouse=True)
def _levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
