"""What a broker announces or asks for has bounds: a fake one on loopback has none."""

import time
import tracemalloc

import pytest
from kafka.errors import KafkaError

from orders.adapters.kafka.client.failures import LOGIN_BROKEN, NOT_KAFKA, NotConnectedError
from orders.adapters.kafka.client.internals import (
    MAX_FRAME_BYTES,
    MAX_SASL_BYTES,
    BoundedAdmin,
)
from orders.adapters.kafka.client.settings import KafkaSettings, client_options
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from tests.integration.kafka.fake_broker import (
    announce,
    announce_in_login,
    answer_in_login,
    ask_for_iterations,
    fake_broker,
)

LARGEST = 0x7FFFFFFF


def settings_for(bootstrap: str, *, login: bool) -> KafkaSettings:
    sasl = {
        "kafka_security_protocol": "SASL_PLAINTEXT",
        "kafka_sasl_mechanism": "SCRAM-SHA-256",
        "kafka_sasl_username": "u",
        "kafka_sasl_password": "p",
    }
    return to_kafka_settings(Settings(kafka_bootstrap=bootstrap, **(sasl if login else {})))  # type: ignore[arg-type]


def connect(bootstrap: str, *, login: bool) -> NotConnectedError:
    """The error of connecting, which must come soon and take little memory."""
    options = client_options(settings_for(bootstrap, login=login))
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(KafkaError) as raised:
            BoundedAdmin(**options, request_timeout_ms=2_000)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
        assert time.process_time() - started < 5
    finally:
        tracemalloc.stop()
    assert isinstance(raised.value, NotConnectedError)
    return raised.value


@pytest.mark.parametrize("size", [LARGEST, MAX_FRAME_BYTES + 1, -1])
def test_the_length_of_a_response(size: int) -> None:
    with fake_broker(announce(size)) as bootstrap:
        assert connect(bootstrap, login=False).failure == NOT_KAFKA


@pytest.mark.parametrize("size", [LARGEST, MAX_SASL_BYTES + 1, -1])
def test_the_length_of_an_answer_during_the_login(size: int) -> None:
    with fake_broker(announce_in_login(size)) as bootstrap:
        assert connect(bootstrap, login=True).failure == LOGIN_BROKEN


@pytest.mark.parametrize("amount", [2_000_000_000, 1_000_001, 1, 0, -1])
def test_the_iterations_of_scram(amount: int) -> None:
    with fake_broker(ask_for_iterations(amount)) as bootstrap:
        assert connect(bootstrap, login=True).failure == LOGIN_BROKEN


@pytest.mark.parametrize("content", [b"", b"\xff", b"r=1", b"e=other-error", b"r=1,s=?,i=many"])
def test_an_answer_that_is_not_scram(content: bytes) -> None:
    with fake_broker(answer_in_login(content)) as bootstrap:
        assert connect(bootstrap, login=True).failure == LOGIN_BROKEN
