"""What is sent counts as safe only when as many replicas have it as the topic wants."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from drills.servers import Servers
from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.dead_letters import KafkaDeadLetters
from orders.adapters.kafka.publisher import KafkaPublisher
from orders.domain.errors import Unavailable
from orders.domain.intake.reading import read
from orders.domain.order.model import Order
from tests.contracts.dead_letters import dead_letter
from tests.contracts.publisher import ORDER_FILE
from tests.integration.kafka.other_client import OtherClient
from tests.integration.opened import opened
from tests.waiting import until, works


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Three brokers of this module's own."""
    brokers = Servers(tmp_path_factory.mktemp("cluster"), brokers=3)
    try:
        brokers.heal()
        yield brokers
    finally:
        brokers.stop()


@pytest.fixture
def kafka_bootstrap(cluster: Servers) -> str:
    return cluster.bootstrap


async def test_nothing_is_safe_with_a_replica_too_few(
    cluster: Servers, kafka_settings: KafkaSettings, other_client: OtherClient
) -> None:
    """Of two replicas that are wanted one is gone: a producer with acks=1 would not notice."""
    order = read(ORDER_FILE.read_bytes()).accepted[0].order
    for name in (kafka_settings.topic, kafka_settings.dlq_topic):
        other_client.create(name, replicas=[[1, 2]], min_insync_replicas="2")
    async with opened(KafkaProducerClient(kafka_settings)) as client:
        publisher = KafkaPublisher(client, kafka_settings)
        dead_letters = KafkaDeadLetters(client, kafka_settings)
        await until(lambda: works(client), "connecting")
        await publisher.publish([order])
        await dead_letters.put([dead_letter()])
        await asyncio.to_thread(cluster.brokers[1].kill)
        later = msgspec.structs.replace(order, order_uid="later")
        with pytest.raises(Unavailable):
            await publisher.publish([later])
        with pytest.raises(Unavailable):
            await dead_letters.put([dead_letter(offset=8)])
        await asyncio.to_thread(cluster.heal)
        await until(lambda: _published(publisher, later), "publishing again", seconds=60)
        await dead_letters.put([dead_letter(offset=8)])


async def _published(publisher: KafkaPublisher, order: Order) -> bool:
    try:
        await publisher.publish([order])
    except Unavailable:
        return False
    return True
