"""The message source in memory."""

import asyncio

import pytest

from orders.adapters.memory.message_source import MemoryMessageSource
from orders.adapters.memory.topic import MemoryTopic
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import Headers, Origin
from orders.domain.ports import MessageSource
from tests.contracts.message_source import (
    MessageSourceContract,
    SourceSide,
    nothing_comes,
    receive,
    values_of,
)


class MemorySide(SourceSide):
    def __init__(self) -> None:
        self.topic = MemoryTopic("orders", partitions=3)

    async def send(
        self,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers = (),
        timestamp: int | None = None,
    ) -> Origin:
        return self.topic.append(value, key, headers, timestamp)

    async def send_many(self, values: list[bytes]) -> None:
        for value in values:
            self.topic.append(value)

    async def open(self) -> MessageSource:
        return MemoryMessageSource(self.topic)

    async def close(self, source: MessageSource) -> None:
        pass


class TestMemoryMessageSource(MessageSourceContract):
    @pytest.fixture
    def side(self) -> SourceSide:
        return MemorySide()

    async def test_while_it_is_down_it_waits_and_commits_nothing(self) -> None:
        topic = MemoryTopic()
        topic.append(b"a")
        source = MemoryMessageSource(topic)
        [batch] = await receive(source, 1)
        source.available = False
        topic.append(b"b")
        assert await nothing_comes(source)
        with pytest.raises(Unavailable):
            await source.commit(batch)
        with pytest.raises(Unavailable):
            await source.check()
        assert topic.committed == [0]
        waiting = asyncio.create_task(source.receive())
        await asyncio.sleep(0)
        source.available = True
        assert [m.value for m in (await waiting).messages] == [b"b"]

    async def test_a_new_source_takes_over(self) -> None:
        topic = MemoryTopic()
        topic.append(b"a")
        old = MemoryMessageSource(topic)
        [in_hand] = await receive(old, 1)
        new = MemoryMessageSource(topic)
        await old.commit(in_hand)
        assert topic.committed == [0]
        assert values_of(await receive(new, 1)) == [b"a"]
        topic.append(b"b")
        assert await nothing_comes(old)


def test_a_topic_has_at_least_one_partition() -> None:
    with pytest.raises(ValueError, match="partitions"):
        MemoryTopic(partitions=0)
