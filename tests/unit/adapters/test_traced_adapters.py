"""Decorated adapters do what they did: their contracts hold without a trace.

What they do within one is in test_tracing.py.
"""

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.memory.publisher import MemoryPublisher
from orders.adapters.memory.topic import MemoryTopic
from orders.adapters.traced.tracing import Tracing
from orders.domain.intake.messages import DeadLetter, Message
from orders.domain.ports import Cache, MessageSource, OrderRepository
from tests.contracts.cache import CacheContract, NewCache
from tests.contracts.dead_letters import DeadLettersContract, DeadLettersSide
from tests.contracts.message_source import MessageSourceContract, SourceSide
from tests.contracts.order_repository import OrderRepositoryContract
from tests.contracts.publisher import PublisherContract, PublisherSide
from tests.unit.adapters import test_message_source


@pytest.fixture
def tracing() -> Tracing:
    return Tracing("test", is_in_memory=True, client_limit=1, new_exporter=InMemorySpanExporter)


class TestTracedCache(CacheContract):
    @pytest.fixture
    def new_cache(self, tracing: Tracing) -> NewCache:
        async def make(capacity: int) -> Cache:
            return tracing.cache(MemoryCache(capacity))

        return make


class TestTracedRepository(OrderRepositoryContract):
    @pytest.fixture
    def repository(self, tracing: Tracing) -> OrderRepository:
        return tracing.repository(MemoryOrderRepository())

    @pytest.fixture
    def reopened(self, repository: OrderRepository) -> OrderRepository:
        return repository


class TestTracedPublisher(PublisherContract):
    @pytest.fixture
    def side(self, tracing: Tracing) -> PublisherSide:
        class Side(PublisherSide):
            def __init__(self) -> None:
                self._topic = MemoryTopic("orders", partitions=3)
                self.publisher = tracing.publisher(MemoryPublisher(self._topic), "orders")

            async def arrived(self) -> list[Message]:
                return [message for partition in self._topic.partitions for message in partition]

        return Side()


class TestTracedDeadLetters(DeadLettersContract):
    @pytest.fixture
    def side(self, tracing: Tracing) -> DeadLettersSide:
        class Side(DeadLettersSide):
            def __init__(self) -> None:
                self._kept = MemoryDeadLetters()
                self.dead_letters = tracing.dead_letters(self._kept, "orders.dlq")

            async def kept(self) -> list[DeadLetter]:
                return self._kept.dead_letters

        return Side()


class TestTracedSource(MessageSourceContract):
    @pytest.fixture
    def side(self, tracing: Tracing) -> SourceSide:
        class Side(test_message_source.MemorySide):
            async def open(self) -> MessageSource:
                return tracing.source(await super().open(), "orders", "group")

        return Side()
