"""A real broker that asks clients for a certificate, or for a token."""

import asyncio
import base64
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from structlog.testing import capture_logs

from orders.adapters.kafka.client.producer import KafkaProducerClient, Outgoing
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.inspection import KafkaInspection
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from orders.domain.errors import Unavailable
from orders_dev import ports
from orders_dev.kafka import KafkaBroker
from tests.integration.kafka.certificates import Authority
from tests.integration.opened import opened
from tests.waiting import says, until, works

PASSWORD = "hunter2"
SESSION_MS = 2_000
"""After so long the broker ends a connection whose token it has taken."""
NOT_ACCEPTED = "the brokers do not accept the client's certificate, or require one"
MODULE = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"


class SecureBroker(KafkaBroker):
    """Has one more listener for certificates and one for tokens, which need not be signed."""

    def __init__(self, folder: Path, keys: Path, trusted: str) -> None:
        taken = [ports.choose() for _ in range(4)]
        super().__init__(folder, taken[0], taken[1])
        self._more = dict(zip(("MTLS", "TOKEN"), taken[2:], strict=True))
        self._keys, self._trusted = keys, trusted

    def at(self, listener: str) -> str:
        return f"127.0.0.1:{self._more[listener]}"

    def _properties(self) -> dict[str, object]:
        properties = super()._properties()
        for name in ("listeners", "advertised.listeners"):
            more = (f"{listener}://{self.at(listener)}" for listener in self._more)
            properties[name] = ",".join([str(properties[name]), *more])
        protocols = str(properties["listener.security.protocol.map"])
        tls, token = "listener.name.mtls.ssl", "listener.name.token"
        return properties | {
            "listener.security.protocol.map": f"{protocols},MTLS:SSL,TOKEN:SASL_PLAINTEXT",
            f"{tls}.keystore.type": "PEM",
            f"{tls}.keystore.location": self._keys,
            f"{tls}.truststore.type": "PEM",
            f"{tls}.truststore.location": self._trusted,
            f"{tls}.client.auth": "required",
            f"{token}.sasl.enabled.mechanisms": "OAUTHBEARER",
            f"{token}.oauthbearer.sasl.jaas.config": f"{MODULE} required;",
            f"{token}.oauthbearer.connections.max.reauth.ms": SESSION_MS,
        }


class Secured(NamedTuple):
    broker: SecureBroker
    authority: Authority


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder / "ca")
    certificate, key = map(Path, authority.issue_files())
    keys = folder / "broker.pem"
    keys.write_text(key.read_text() + certificate.read_text())
    broker = SecureBroker(folder / "kafka", keys, authority.file)
    broker.start()
    try:
        yield Secured(broker, authority)
    finally:
        broker.stop()


def settings_for(bootstrap: str, topic: str, **others: Any) -> KafkaSettings:
    settings = to_kafka_settings(Settings(kafka_bootstrap=bootstrap))
    names = {"topic": topic, "dlq_topic": f"{topic}.dlq", "group": f"{topic}.group"}
    return msgspec.structs.replace(settings, **names, **others)


def with_certificate(
    secured: Secured, topic: str, files: tuple[str | None, str | None], **others: Any
) -> KafkaSettings:
    return settings_for(
        secured.broker.at("MTLS"),
        topic,
        security_protocol="SSL",
        ssl_cafile=secured.authority.file,
        ssl_certificate=files[0],
        ssl_key=files[1],
        **others,
    )


def with_token(secured: Secured, topic: str, **source: str) -> KafkaSettings:
    return settings_for(
        secured.broker.at("TOKEN"),
        topic,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="OAUTHBEARER",
        **source,
    )


def token(lives: float = 3_600) -> str:
    """One that is not signed, as the broker's validator for development takes it."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": "alice", "iat": now - 3_700, "exp": now + lives})
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join(part.rstrip("=") for part in encoded) + "."


async def state_of(settings: KafkaSettings) -> tuple[str, str]:
    finding = (await KafkaInspection(settings).inspect())[0]
    return finding.state, finding.text


async def both_work(settings: KafkaSettings) -> None:
    source, producer = KafkaMessageSource(settings), KafkaProducerClient(settings)
    async with opened(source), opened(producer):
        await until(lambda: works(source), "the source works")
        await until(lambda: works(producer), "the producer works")


@pytest.mark.parametrize("password", [None, PASSWORD])
async def test_a_certificate_that_the_brokers_trust(
    secured: Secured, topic_name: str, password: str | None
) -> None:
    files = secured.authority.issue_files(password=password)
    settings = with_certificate(secured, topic_name, files, ssl_key_password=password)
    await both_work(settings)
    assert (await state_of(settings))[0] == "ok"


async def test_without_a_certificate_always_the_same_is_said(
    secured: Secured, topic_name: str
) -> None:
    settings = with_certificate(secured, topic_name, (None, None))
    for _ in range(3):  # in each of them it connects many times
        _, text = await state_of(settings)
        assert NOT_ACCEPTED in text


@pytest.mark.parametrize("given", [None, "other"])
async def test_a_key_without_its_password(
    secured: Secured, topic_name: str, given: str | None
) -> None:
    files = secured.authority.issue_files(password=PASSWORD)
    settings = with_certificate(secured, topic_name, files, ssl_key_password=given)
    _, text = await state_of(settings)
    assert "a file of certificates cannot be read, or does not hold what it should" in text


async def test_a_certificate_that_is_renewed_is_used_without_a_restart(
    secured: Secured, topic_name: str, tmp_path: Path
) -> None:
    used = tmp_path / "certificate.pem", tmp_path / "key.pem"

    def put(authority: Authority) -> None:
        for new, file in zip(authority.issue_files(), used, strict=True):
            shutil.copy(new, file)

    put(Authority(tmp_path / "foreign"))
    settings = with_certificate(secured, topic_name, (str(used[0]), str(used[1])))
    source = KafkaMessageSource(settings)
    async with opened(source):
        await until(lambda: says(source, NOT_ACCEPTED), "the foreign one is refused")
        put(secured.authority)
        await until(lambda: works(source), "the new one is used")


async def test_a_token_from_a_file_or_a_command(
    secured: Secured, topic_name: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(token() + "\n")
    await both_work(with_token(secured, topic_name, token_file=str(file)))
    by_command = with_token(secured, topic_name, token_command=f"cat {file}")
    await both_work(by_command)
    assert (await state_of(by_command))[0] == "ok"


async def test_the_token_is_read_again_by_each_connection(
    secured: Secured, topic_name: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(token(lives=-60))
    settings = with_token(secured, topic_name, token_file=str(file))
    source, producer = KafkaMessageSource(settings), KafkaProducerClient(settings)
    refused = "the brokers refuse the login"
    with capture_logs() as lines:
        async with opened(source), opened(producer):
            for each in (source, producer):
                await until(lambda each=each: says(each, refused), "it has expired")  # type: ignore[misc]
            file.write_text(token())
            for each in (source, producer):
                await until(lambda each=each: works(each), "the new one is used")  # type: ignore[misc]
            file.unlink()
            reason = "cannot be read from its file"
            for each in (source, producer):  # once the broker has ended their sessions
                await until(lambda each=each: says(each, reason), "it is missing")  # type: ignore[misc]
            file.write_text(token())
            for each in (source, producer):
                await until(lambda each=each: works(each), "it is back")  # type: ignore[misc]
    assert token()[:20] not in str(lines)


async def test_nothing_is_lost_or_doubled_as_the_broker_ends_sessions(
    secured: Secured, topic_name: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(token())
    settings = with_token(secured, topic_name, token_file=str(file))
    source, producer = KafkaMessageSource(settings), KafkaProducerClient(settings)
    sent: list[bytes] = []
    got: list[bytes | None] = []
    async with opened(source), opened(producer):
        await until(lambda: works(producer), "the producer works")
        deadline = time.monotonic() + 3 * SESSION_MS / 1000
        while time.monotonic() < deadline:
            sent.append(b"%d" % len(sent))
            await producer.send(topic_name, [Outgoing(sent[-1])])
        while len(got) < len(sent):
            async with asyncio.timeout(30):
                batch = await source.receive()
            got += [message.value for message in batch.messages]
            with suppress(Unavailable):  # a session ended: the source commits it later by itself
                await source.commit(batch)
        await until(lambda: source.unconfirmed_since(0) is None, "all is committed")
    assert sorted(got, key=str) == sorted(sent, key=str)


async def test_why_there_is_no_token_is_said(secured: Secured, topic_name: str) -> None:
    settings = with_token(secured, topic_name, token_command="sh -c 'exit 7'")
    _, text = await state_of(settings)
    assert "the token for the login cannot be had: its command ends with 7" in text
