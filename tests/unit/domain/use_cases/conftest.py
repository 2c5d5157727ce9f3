"""All ports in memory."""

import pytest

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.memory.topic import MemoryTopic


@pytest.fixture
def repository() -> MemoryOrderRepository:
    return MemoryOrderRepository()


@pytest.fixture
def dead_letters() -> MemoryDeadLetters:
    return MemoryDeadLetters()


@pytest.fixture
def cache() -> MemoryCache:
    return MemoryCache(3)


@pytest.fixture
def topic() -> MemoryTopic:
    return MemoryTopic()
