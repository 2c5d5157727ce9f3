"""Three brokers: what is made there is safe by itself, and what is missing is noticed."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from drills.servers import Servers
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.client.topics import TopicAdmin
from orders.adapters.kafka.inspection import KafkaInspection
from tests.integration.kafka.other_client import OtherClient
from tests.waiting import until


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    brokers = Servers(tmp_path_factory.mktemp("cluster"), brokers=3)
    try:
        brokers.heal()
        yield brokers
    finally:
        brokers.stop()


@pytest.fixture
def kafka_bootstrap(cluster: Servers) -> str:
    return cluster.bootstrap


async def test_two_disks_for_an_acknowledgement_where_there_are_three_replicas(
    cluster: Servers, kafka_settings: KafkaSettings, other_client: OtherClient
) -> None:
    settings = msgspec.structs.replace(kafka_settings, replication=3)
    await asyncio.to_thread(TopicAdmin(settings).ensure)
    for name in (settings.topic, settings.dlq_topic):
        assert other_client.config(name)["min.insync.replicas"] == "2"
    other_client.create("two", replicas=[[1, 2]], min_insync_replicas="1")
    inspection = KafkaInspection(settings)
    weak = KafkaInspection(msgspec.structs.replace(settings, topic="two"))

    async def is_healthy() -> bool:
        healthy = "3 partitions, 3 replicas, 2 to acknowledge"
        return any(
            (finding.what, finding.state, finding.text)
            == (f"topic {settings.topic}", "ok", healthy)
            for finding in await inspection.inspect()
        )

    async def is_called_weak() -> bool:
        return any(
            (finding.what, finding.state) == ("topic two", "warning")
            and "min.insync.replicas is 1" in finding.text
            for finding in await weak.inspect()
        )

    # Not every broker knows a new topic at once, or answers in time.
    await until(is_healthy, "three replicas are called healthy")
    await until(is_called_weak, "two replicas of which one acknowledges are called weak")

    await asyncio.to_thread(cluster.brokers[2].kill)

    async def is_noticed() -> bool:
        findings = await inspection.inspect()
        # While leaders move, descriptions may be incomplete.
        texts = [f.text for f in findings if f.state == "problem"]
        return any(
            "fewer replicas in sync than there should be: partition 0, 1, 2" in text
            for text in texts
        )

    await until(is_noticed, "the replica that is missing is noticed", seconds=60)
