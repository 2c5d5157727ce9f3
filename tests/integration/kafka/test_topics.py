"""Topics made at the start."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from kafka.errors import KafkaError, NoBrokersAvailable
from rich.pretty import pretty_repr

from orders.adapters.kafka.client import topics
from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.client.settings import KafkaSettings, client_options
from orders.adapters.kafka.client.topics import TopicAdmin, TopicLimits
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from tests.integration.kafka.other_client import OtherClient
from tests.integration.opened import opened
from tests.waiting import until, works


def test_makes_both_topics(kafka_settings: KafkaSettings, other_client: OtherClient) -> None:
    limits = TopicAdmin(kafka_settings).ensure()
    assert limits == TopicLimits(1_048_588, 2_097_176)
    assert other_client.partitions(kafka_settings.topic) == 3
    assert other_client.partitions(kafka_settings.dlq_topic) == 3
    kept = other_client.config(kafka_settings.dlq_topic)
    assert kept["max.message.bytes"] == "2097176"
    assert kept["retention.ms"] == kept["retention.bytes"] == "-1"
    assert kept["cleanup.policy"] == "delete"
    assert other_client.config(kafka_settings.topic)["message.timestamp.type"] == "LogAppendTime"


def test_the_topic_of_dead_letters_takes_any_timestamp(
    kafka_settings: KafkaSettings, other_client: OtherClient
) -> None:
    TopicAdmin(kafka_settings).ensure()
    made = other_client.config(kafka_settings.dlq_topic)
    assert made["message.timestamp.type"] == "CreateTime"
    assert made["message.timestamp.after.max.ms"] == str(2**63 - 1)
    assert made["message.timestamp.before.max.ms"] == str(2**63 - 1)


def test_brokers_that_do_not_know_bounds_on_timestamps(
    kafka_settings: KafkaSettings, other_client: OtherClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "ANY_TIMESTAMP", {"message.timestamp.unheard.of": "1"})
    TopicAdmin(kafka_settings).ensure()
    assert other_client.config(kafka_settings.dlq_topic)["retention.ms"] == "-1"


def test_leaves_topics_that_exist_as_they_are(
    kafka_settings: KafkaSettings, other_client: OtherClient
) -> None:
    other_client.create(kafka_settings.topic, 2, max_message_bytes="5000", retention_ms="1000000")
    other_client.create(kafka_settings.dlq_topic, 1, max_message_bytes="7000")
    assert TopicAdmin(kafka_settings).ensure() == TopicLimits(5_000, 7_000)
    assert other_client.partitions(kafka_settings.topic) == 2
    assert other_client.config(kafka_settings.topic)["retention.ms"] == "1000000"
    assert other_client.config(kafka_settings.dlq_topic)["max.message.bytes"] == "7000"


def test_dead_letters_get_twice_the_size_of_the_source(
    kafka_settings: KafkaSettings, other_client: OtherClient
) -> None:
    other_client.create(kafka_settings.topic, max_message_bytes="3000000")
    assert TopicAdmin(kafka_settings).ensure() == TopicLimits(3_000_000, 6_000_000)


def test_many_at_once_do_not_disturb_each_other(kafka_settings: KafkaSettings) -> None:
    with ThreadPoolExecutor(5) as pool:
        found = pool.map(lambda _: TopicAdmin(kafka_settings).ensure(), range(5))
        assert set(found) == {TopicLimits(1_048_588, 2_097_176)}


def test_what_cannot_be_made_is_an_error(kafka_settings: KafkaSettings) -> None:
    with pytest.raises(KafkaError):
        TopicAdmin(msgspec.structs.replace(kafka_settings, replication=9)).ensure()


def test_no_broker_is_an_error() -> None:
    with pytest.raises(NoBrokersAvailable):
        TopicAdmin(to_kafka_settings(Settings(kafka_bootstrap="127.0.0.1:1"))).ensure()


async def test_producer_and_source_make_them(
    kafka_settings: KafkaSettings, other_client: OtherClient
) -> None:
    async with opened(KafkaProducerClient(kafka_settings)) as producer:
        await until(lambda: works(producer), "connecting")
    other = msgspec.structs.replace(kafka_settings, topic=kafka_settings.topic + "-2")
    async with opened(KafkaMessageSource(other)) as source:
        await until(lambda: works(source), "joining the group")
    for topic in (kafka_settings.topic, kafka_settings.dlq_topic, other.topic):
        assert await asyncio.to_thread(other_client.partitions, topic) == 3


def test_secrets_are_not_shown() -> None:
    settings = to_kafka_settings(
        Settings(
            kafka_bootstrap="broker.internal:9092",
            kafka_sasl_username="user-name",
            kafka_sasl_password="pass-word",
        )
    )
    for secret in ("user-name", "pass-word", "broker.internal"):
        assert secret not in repr(settings)
        assert secret not in str(settings)
        assert secret not in pretty_repr(settings)


def test_security_settings_reach_the_client() -> None:
    settings = to_kafka_settings(
        Settings(
            kafka_bootstrap="a:1, b:2",
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_mechanism="SCRAM-SHA-512",
            kafka_sasl_username="u",
            kafka_sasl_password="p",
            kafka_ssl_cafile="/ca.pem",
        )
    )
    options = client_options(settings)
    assert options["bootstrap_servers"] == ["a:1", "b:2"]
    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("u", "p")
    assert options["ssl_cafile"] == "/ca.pem"
    assert options["ssl_check_hostname"] is True
