"""Topics of one's own on the real broker, and another client to look at them with."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
from kafka.errors import InvalidReplicationFactorError

from orders.adapters.kafka.client.failures import NotConnectedError
from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.client.topics import TopicAdmin
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from tests.integration.kafka.other_client import OtherClient
from tests.waiting import wait_until

PARTITIONS = 3


@pytest.fixture
def kafka_settings(kafka_bootstrap: str, topic_name: str) -> KafkaSettings:
    """A topic, its dead letters and a group that no other test has; nothing of it exists yet."""
    return to_kafka_settings(
        Settings(
            kafka_bootstrap=kafka_bootstrap,
            kafka_topic=topic_name,
            kafka_dlq_topic=f"{topic_name}.dlq",
            kafka_group=f"{topic_name}.group",
            kafka_partitions=PARTITIONS,
        )
    )


@pytest.fixture
def topics(kafka_settings: KafkaSettings) -> KafkaSettings:
    """The same, with both topics made."""

    def are_made() -> bool:
        # A test before may have stopped the broker, or frozen it: its controller, frozen as well,
        # takes it for dead until its next heartbeat.
        with suppress(NotConnectedError, InvalidReplicationFactorError):
            TopicAdmin(kafka_settings).ensure()
            return True
        return False

    wait_until(are_made, 30, "the topics are made")
    return kafka_settings


@pytest.fixture
def other_client(kafka_bootstrap: str) -> Iterator[OtherClient]:
    """Sends and reads with another Kafka client than ours."""
    client = OtherClient(kafka_bootstrap)
    yield client
    client.close()


@pytest.fixture
async def client(topics: KafkaSettings) -> AsyncIterator[KafkaProducerClient]:
    client = KafkaProducerClient(topics)
    await client.open()
    yield client
    await client.close()
