"""Batches that are received and parsed while others are stored, on the adapters in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.message_source import MemoryMessageSource
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.memory.topic import MemoryTopic
from orders.domain.errors import OrdersError
from orders.domain.intake.messages import Batch
from orders.domain.intake.prefetcher import PendingBatch, Prefetcher
from orders.domain.use_cases.ingest_batch import IngestBatch, ParsedBatch
from tests.contracts.publisher import ORDER_FILE
from tests.waiting import settle


class Source(MemoryMessageSource):
    """Counts, and fails when it is told to."""

    def __init__(self, topic: MemoryTopic) -> None:
        super().__init__(topic)
        self.given = 0
        self.failure: OrdersError | None = None

    async def receive(self) -> Batch:
        if self.failure:
            raise self.failure
        batch = await super().receive()
        self.given += 1
        return batch


async def at_once(work: Callable[[], ParsedBatch]) -> ParsedBatch:
    """Stand in for a thread, whose end nobody here can wait for."""
    return work()


class Rig:
    def __init__(self, max_pending_messages: int = 3) -> None:
        self.topic = MemoryTopic()
        self.source = Source(self.topic)
        repository = MemoryOrderRepository()
        erasure = MemoryErasure(repository)
        ingest = IngestBatch(repository, MemoryDeadLetters(), MemoryCache(1), 1, erasure=erasure)
        self.prefetcher = Prefetcher(self.source, ingest, at_once, max_pending_messages)
        self.running = asyncio.create_task(self.prefetcher.run())

    async def send(self, *values: bytes) -> None:
        """Append these, and give the reader the time to take what it wants."""
        for value in values:
            self.topic.append(value)
        await settle()

    def take(self) -> PendingBatch:
        pending = self.prefetcher.take()
        assert pending is not None
        return pending


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await asyncio.sleep(0)
    yield rig
    rig.running.cancel()
    await asyncio.gather(rig.running, return_exceptions=True)


async def test_nothing_waits_at_first(rig: Rig) -> None:
    assert rig.prefetcher.take() is None


async def test_a_lone_message_is_there_at_once(rig: Rig) -> None:
    rig.topic.append(ORDER_FILE.read_bytes())
    async with asyncio.timeout(5):
        await rig.prefetcher.arrived()
    assert rig.take().parsed.messages == 1
    assert rig.prefetcher.take() is None


async def test_later_ones_are_joined_to_what_waits(rig: Rig) -> None:
    good = ORDER_FILE.read_bytes()
    await rig.send(good)
    await rig.send(b"bad")
    pending = rig.take()
    assert (pending.parsed.messages, pending.size) == (2, len(good) + 3)
    assert [c.message.origin.offset for c in pending.parsed.candidates] == [0]
    assert [dead_letter.message.origin.offset for dead_letter in pending.parsed.dead_letters] == [1]
    await rig.source.commit(pending.batch)
    assert rig.topic.committed == [2]


async def test_when_enough_waits_no_more_is_received(rig: Rig) -> None:
    for _ in range(5):
        await rig.send(b"[]")
    assert rig.source.given == 3
    assert rig.take().parsed.messages == 3
    await rig.send()
    assert rig.take().parsed.messages == 2


async def test_large_values_are_joined_up_to_a_bound_of_bytes(rig: Rig) -> None:
    for _ in range(2):
        await rig.send(b" " * (4 * 1024 * 1024 + 1))
    assert rig.source.given == 1
    assert rig.take().parsed.messages == 1


async def test_what_waits_may_be_taken_after_the_source_has_failed(rig: Rig) -> None:
    rig.source.failure = OrdersError("it cannot go on")
    await rig.send(b"[]")
    with pytest.raises(OrdersError, match="cannot go on"):
        await rig.running
    assert rig.take().parsed.messages == 1
