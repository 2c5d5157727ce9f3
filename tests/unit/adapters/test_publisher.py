"""The publisher in memory."""

import pytest

from orders.adapters.memory.publisher import MemoryPublisher
from orders.adapters.memory.topic import MemoryTopic
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import Message
from orders.domain.order.model import Order
from tests.contracts.publisher import PublisherContract, PublisherSide


class MemorySide(PublisherSide):
    def __init__(self) -> None:
        self.topic = MemoryTopic("orders", partitions=3)
        self.publisher = MemoryPublisher(self.topic)

    async def arrived(self) -> list[Message]:
        return [message for partition in self.topic.partitions for message in partition]


class TestMemoryPublisher(PublisherContract):
    @pytest.fixture
    def side(self) -> PublisherSide:
        return MemorySide()

    async def test_while_it_is_down_nothing_is_sent(self, order: Order) -> None:
        topic = MemoryTopic()
        publisher = MemoryPublisher(topic)
        publisher.available = False
        with pytest.raises(Unavailable):
            await publisher.publish([order])
        with pytest.raises(Unavailable):
            await publisher.check()
        assert topic.partitions == ([],)
        publisher.available = True
        await publisher.check()
        await publisher.publish([order])
        assert len(topic.partitions[0]) == 1
