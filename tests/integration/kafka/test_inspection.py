"""What is found out about real brokers, topics and groups."""

import time

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.inspection import KafkaInspection
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from orders.domain.errors import Unavailable
from orders.domain.ports import Finding, Inspection
from tests.contracts.inspection import SECRET, InspectionContract, found
from tests.contracts.message_source import receive
from tests.integration.kafka.other_client import TIMEOUT, OtherClient
from tests.integration.opened import opened
from tests.integration.tcp_proxy import TcpProxy
from tests.waiting import until


class TestKafkaInspection(InspectionContract):
    @pytest.fixture
    def inspection(self, topics: KafkaSettings) -> Inspection:
        return KafkaInspection(topics)

    @pytest.fixture
    def unreachable(self, kafka_settings: KafkaSettings) -> Inspection:
        """A broker that speaks no SASL, and is asked to."""
        return KafkaInspection(
            msgspec.structs.replace(
                kafka_settings,
                security_protocol="SASL_PLAINTEXT",
                sasl_mechanism="PLAIN",
                sasl_username="u",
                sasl_password=SECRET,
            )
        )


async def look(settings: KafkaSettings) -> list[Finding]:
    return list(await KafkaInspection(settings).inspect())


def delete_before(settings: KafkaSettings, partition: int, offset: int) -> None:
    admin = AdminClient({"bootstrap.servers": settings.bootstrap})
    place = TopicPartition(settings.topic, partition, offset)
    for future in admin.delete_records([place]).values():
        future.result(TIMEOUT)


def commit(settings: KafkaSettings, partition: int, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": settings.bootstrap, "group.id": settings.group})
    try:
        place = TopicPartition(settings.topic, partition, offset)
        consumer.commit(offsets=[place], asynchronous=False)
    finally:
        consumer.close()


def problems(findings: list[Finding]) -> set[str]:
    return {finding.what for finding in findings if finding.state == "problem"}


async def test_topics_that_are_missing_are_not_made(
    kafka_settings: KafkaSettings, other_client: OtherClient
) -> None:
    missing = {f"topic {kafka_settings.topic}", f"topic {kafka_settings.dlq_topic}"}
    assert problems(await look(kafka_settings)) == missing
    findings = await look(kafka_settings)
    assert problems(findings) == missing
    assert "orders consumer" in found(findings, f"topic {kafka_settings.topic}").advice


async def test_what_we_make_is_as_it_should_be_but_for_one_replica(topics: KafkaSettings) -> None:
    findings = await look(topics)
    assert not problems(findings)
    copies = found(findings, f"topic {topics.topic}")
    assert copies.state == "warning"
    assert copies.text.startswith("3 partitions, one replica")
    assert found(findings, f"group {topics.group}").state == "warning"
    assert found(findings, "lag").text == "none: all messages have been read"


async def test_dead_letters_that_would_be_deleted_or_do_not_fit(
    kafka_settings: KafkaSettings, other_client: OtherClient
) -> None:
    other_client.create(kafka_settings.topic, max_message_bytes="3000000")
    other_client.create(
        kafka_settings.dlq_topic,
        retention_ms="86400000",
        cleanup_policy="compact",
        max_message_bytes="5999999",
    )
    findings = await look(kafka_settings)
    retention = found(findings, f"retention of {kafka_settings.dlq_topic}")
    assert retention.state == "problem"
    assert "retention.ms=86400000" in retention.text
    assert "cleanup.policy=compact" in retention.text
    assert retention.advice == "set cleanup.policy=delete, retention.ms=-1"
    size = found(findings, f"size limit of {kafka_settings.dlq_topic}")
    assert size.state == "problem"
    assert "6000000" in size.advice


async def test_a_source_that_forgets_what_was_acknowledged_or_not_read(
    kafka_settings: KafkaSettings, other_client: OtherClient
) -> None:
    source = kafka_settings.topic
    other_client.create(
        source,
        cleanup_policy="compact",
        retention_ms="3600000",
        unclean_leader_election_enable="true",
    )
    findings = await look(kafka_settings)
    assert {f"cleanup of {source}", f"leaders of {source}"} <= problems(findings)
    retention = found(findings, f"retention of {source}")
    assert retention.state == "warning"
    assert "60 minutes" in retention.text


async def test_messages_that_nobody_reads(topics: KafkaSettings, other_client: OtherClient) -> None:
    other_client.send_many(topics.topic, [b"x"] * 3, partition=0)
    other_client.send_many(topics.topic, [b"x"] * 4, partition=2)
    findings = await look(topics)
    group = found(findings, f"group {topics.group}")
    assert group.state == "problem"
    assert group.text == "no consumer is running; messages waiting: 7"
    assert "orders consumer" in group.advice
    lag = found(findings, "lag")
    assert lag.text == "messages waiting: 7 (3 in partition 0, 4 in partition 2)"


async def test_a_group_at_work(topics: KafkaSettings, other_client: OtherClient) -> None:
    other_client.send_many(topics.topic, [b"x"] * 5, partition=1)
    async with opened(KafkaMessageSource(topics)) as source:
        for batch in await receive(source, 5):
            await source.commit(batch)
        other_client.send_many(topics.topic, [b"x"] * 2, partition=1)
        findings = await look(topics)
    assert not problems(findings)
    assert found(findings, f"group {topics.group}").text == "1 consumer, stable"
    assert found(findings, "lag").text == "messages waiting: 2 (2 in partition 1)"


async def test_messages_that_were_deleted_before_they_were_read(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    other_client.send_many(topics.topic, [b"x"] * 3, partition=0)
    async with opened(KafkaMessageSource(topics)) as source:
        for batch in await receive(source, 3):
            await source.commit(batch)
    other_client.send_many(topics.topic, [b"x"] * 6, partition=0)
    delete_before(topics, 0, 7)
    findings = await look(topics)
    deleted = found(findings, "deleted unread")
    assert deleted.state == "problem"
    assert deleted.text == "messages deleted before they were read: 4 (4 in partition 0)"
    assert found(findings, "lag").text == "messages waiting: 2 (2 in partition 0)"


async def test_more_committed_than_there_is(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    commit(topics, 0, 99)
    beyond = found(await look(topics), "committed")
    assert beyond.state == "warning"
    assert "partition 0" in beyond.text


def join_with_other_client(settings: KafkaSettings, **options: str) -> Consumer:
    """A member of the group by another client, which has partitions."""
    named = {name.replace("_", "."): value for name, value in options.items()}
    consumer = Consumer(
        {"bootstrap.servers": settings.bootstrap, "group.id": settings.group} | named
    )
    consumer.subscribe([settings.topic])
    deadline = time.monotonic() + TIMEOUT
    while not consumer.assignment():
        assert time.monotonic() < deadline
        consumer.poll(0.1)
    return consumer


async def test_a_group_that_cannot_be_joined_for_its_assignor(topics: KafkaSettings) -> None:
    member = join_with_other_client(topics, partition_assignment_strategy="cooperative-sticky")
    try:
        group = found(await look(topics), f"group {topics.group}")
        async with opened(KafkaMessageSource(topics)) as source:
            await until(lambda: told(source, "another assignor"), "the source says so", 30)
    finally:
        member.close()
    assert group.state == "problem"
    assert "cooperative-sticky" in group.text
    assert "ORDERS_KAFKA_GROUP" in group.advice


async def told(source: KafkaMessageSource, reason: str) -> bool:
    try:
        await source.check()
    except Unavailable as error:
        return reason in str(error)
    return False


async def test_a_group_of_the_new_protocol(topics: KafkaSettings) -> None:
    member = join_with_other_client(topics, group_protocol="consumer")
    try:
        group = found(await look(topics), f"group {topics.group}")
    finally:
        member.close()
    assert group.state == "problem"
    assert "KIP-848" in group.text
    assert "ORDERS_KAFKA_GROUP" in group.advice


async def test_names_that_kafka_does_not_take(kafka_settings: KafkaSettings) -> None:
    bad = msgspec.structs.replace(kafka_settings, topic="orders topic!", dlq_topic="ä" * 10)
    findings = await look(bad)
    assert findings[0].state == "ok"
    for setting, name in (
        ("ORDERS_KAFKA_TOPIC", bad.topic),
        ("ORDERS_KAFKA_DLQ_TOPIC", bad.dlq_topic),
    ):
        finding = found(findings, f"topic {name}")
        assert finding.state == "problem"
        assert finding.text == "Kafka does not take this name"
        assert setting in finding.advice


async def test_nobody_listens() -> None:
    (finding,) = await look(
        to_kafka_settings(Settings(kafka_bootstrap="127.0.0.1:1, kafka.invalid:2"))
    )
    assert finding.text == "nothing listens on 127.0.0.1:1; the name kafka.invalid is not known"


async def test_frozen(kafka_settings: KafkaSettings) -> None:
    host, port = kafka_settings.bootstrap.split(":")
    with TcpProxy(host, int(port)) as door:
        door.freeze()
        frozen = msgspec.structs.replace(kafka_settings, bootstrap=f"127.0.0.1:{door.port}")
        began = time.monotonic()
        (finding,) = await look(frozen)
        assert time.monotonic() - began < 4.5
    assert finding.state == "problem"
    assert finding.text == "accepts connections, but the brokers do not answer"
