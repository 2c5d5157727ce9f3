"""The composition root: which adapter stands behind which port, said once.

Nothing here connects. ``opened`` opens what a process needs, in order, and closes it again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from dependency_injector import containers, providers

from orders.adapters.circuit_breaker.cache import CircuitBreakerCache
from orders.adapters.coalesced.order_reader import CoalescedReader
from orders.adapters.in_process.cache import InProcessCache
from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.consumer.commit_health import KafkaCommits
from orders.adapters.kafka.dead_letter_reader import KafkaDeadLetterReader
from orders.adapters.kafka.dead_letters import KafkaDeadLetters
from orders.adapters.kafka.inspection import KafkaInspection
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.adapters.kafka.publisher import KafkaPublisher
from orders.adapters.kafka.replay_journal import KafkaReplayJournal
from orders.adapters.kafka.replay_target import KafkaReplayTarget
from orders.adapters.logged.dead_letters import LoggedDeadLetters
from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.inspection import MemoryInspection
from orders.adapters.memory.message_source import MemoryMessageSource
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.memory.publisher import MemoryPublisher
from orders.adapters.memory.replay_journal import MemoryJournalStore, MemoryReplayJournal
from orders.adapters.memory.replay_target import MemoryReplayTarget
from orders.adapters.memory.topic import MemoryTopic
from orders.adapters.no_cache.cache import NoCache
from orders.adapters.no_cache.inspection import NoCacheInspection
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.inspection import PostgresInspection
from orders.adapters.postgres.migrations import Migrator
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.random_orders.order_generator import RandomOrderGenerator
from orders.adapters.redis_lru.cache import RedisCache
from orders.adapters.redis_lru.inspection import RedisInspection
from orders.config import Settings
from orders.domain.storing import Storing
from orders.domain.use_cases.check_readiness import CheckReadiness
from orders.domain.use_cases.ingest_batch import IngestBatch
from orders.domain.use_cases.inspect_dead_letters import InspectDeadLetters
from orders.domain.use_cases.inspect_system import InspectSystem
from orders.domain.use_cases.list_dead_letters import ListDeadLetters
from orders.domain.use_cases.list_orders import ListOrders
from orders.domain.use_cases.look_up_order import LookUpOrder
from orders.domain.use_cases.publish_orders import PublishDocument, PublishRandom
from orders.domain.use_cases.replay_dead_letters import ReplayDeadLetters
from orders.domain.use_cases.show_dead_letter import ShowDeadLetter
from orders.domain.use_cases.warm_up_cache import WarmUpCache


class Resource(Protocol):
    """Something that holds connections or threads between ``open`` and ``close``."""

    async def open(self) -> None:
        """Begin; does not wait for the other side and does not fail when it is away."""

    async def close(self) -> None:
        """End, within a bound."""


def to_kafka_settings(settings: Settings) -> KafkaSettings:
    """Take from ``settings`` what the Kafka adapters need: each ``kafka_NAME`` as ``NAME``."""
    values = {name: getattr(settings, f"kafka_{name}") for name in KafkaSettings.__struct_fields__}
    return KafkaSettings(**values | {"bootstrap": settings.kafka_bootstrap or ""})


class Container(containers.DeclarativeContainer):
    """Every object of a process, made when it is first asked for."""

    settings = providers.Dependency(instance_of=Settings)

    database = providers.Singleton(
        PostgresDatabase,
        dsn=settings.provided.postgres_dsn,
        pool_max=settings.provided.postgres_pool_max,
    )
    migrator = providers.Singleton(Migrator, database)
    repository = providers.Singleton(PostgresOrderRepository, database)

    redis = providers.Singleton(
        RedisCache,
        url=settings.provided.redis_url,
        capacity=settings.provided.cache_capacity,
        prefix=settings.provided.cache_prefix,
    )
    cache = providers.Singleton(CircuitBreakerCache, redis)
    redis_inspection = providers.Singleton(
        RedisInspection, settings.provided.redis_url, settings.provided.cache_prefix
    )

    kafka_settings = providers.Singleton(to_kafka_settings, settings)
    producer = providers.Singleton(KafkaProducerClient, kafka_settings)
    publisher = providers.Singleton(KafkaPublisher, producer, kafka_settings)
    dead_letter_topic = providers.Singleton(KafkaDeadLetters, producer, kafka_settings)
    dead_letters = providers.Singleton(LoggedDeadLetters, dead_letter_topic)
    source = providers.Singleton(KafkaMessageSource, kafka_settings)

    dead_letter_reader = providers.Singleton(KafkaDeadLetterReader, kafka_settings)
    # A message whose acknowledgement got lost would be sent twice by trying again.
    replay_producer = providers.Singleton(
        KafkaProducerClient, kafka_settings, makes_topics=False, retries=0
    )
    replay_journal = providers.Singleton(KafkaReplayJournal, replay_producer, kafka_settings)
    replay_target = providers.Singleton(KafkaReplayTarget, replay_producer, kafka_settings)

    generator = providers.Singleton(RandomOrderGenerator)

    # What reads single orders: this process's own cache, then the shared one, then the store.
    near_cache = providers.Singleton(
        InProcessCache,
        cache,
        max_bytes=settings.provided.cache_local_bytes,
        capacity=settings.provided.cache_capacity,
    )
    reader = providers.Singleton(CoalescedReader, repository, near_cache)
    look_up = providers.Singleton(LookUpOrder, reader, near_cache)
    list_orders = providers.Singleton(ListOrders, repository)
    publish_document = providers.Singleton(PublishDocument, publisher)
    publish_random = providers.Singleton(PublishRandom, generator, publisher)
    warm_up = providers.Singleton(WarmUpCache, repository, cache, settings.provided.cache_capacity)
    ingest = providers.Singleton(
        IngestBatch, repository, dead_letters, cache, settings.provided.cache_capacity
    )
    list_dead_letters = providers.Singleton(ListDeadLetters, dead_letter_reader, replay_journal)
    show_dead_letter = providers.Singleton(ShowDeadLetter, dead_letter_reader, replay_journal)
    replay_dead_letters = providers.Singleton(
        ReplayDeadLetters, dead_letter_reader, replay_journal, replay_target
    )
    required = providers.Dict(postgres=database)
    optional = providers.Dict(kafka=producer, redis=cache)
    readiness = providers.Singleton(CheckReadiness, required, optional)
    inspected = providers.Dict(
        postgres=providers.Singleton(
            PostgresInspection, settings.provided.postgres_dsn, settings.provided.postgres_pool_max
        ),
        redis=redis_inspection,
        kafka=providers.Singleton(KafkaInspection, kafka_settings),
    )
    dead_letters_inspection = providers.Singleton(InspectDeadLetters, list_dead_letters)
    inspect_system = providers.Singleton(
        InspectSystem,
        inspected,
        providers.Dict(kafka=providers.Dict({"dead-letters": dead_letters_inspection})),
    )
    storing = providers.Singleton(Storing)
    commits = providers.Singleton(KafkaCommits, source)
    consumer_required = providers.Dict(postgres=database, kafka=source, store=storing)
    consumer_optional = providers.Dict(commits=commits, redis=cache)
    consumer_readiness = providers.Singleton(CheckReadiness, consumer_required, consumer_optional)

    cache_resources = providers.List(redis)
    # Opened before and closed along with the servers that they ask.
    look_up_resources = providers.List(near_cache, reader)
    api_resources = providers.List(database, producer)
    consumer_resources = providers.List(database, producer, source)
    replay_resources = providers.List(replay_producer)


def _new_container(settings: Settings) -> Container:
    container = Container(settings=settings)
    if not settings.cache_local_bytes:
        container.near_cache.override(container.cache)
        container.look_up.override(providers.Singleton(LookUpOrder, container.reader))
        container.look_up_resources.override(providers.List(container.reader))
    return container


def build(settings: Settings) -> Container:
    """The container of a process on real servers."""
    container = _new_container(settings)
    if settings.redis_url is None:
        container.cache.override(providers.Singleton(NoCache))
        container.redis_inspection.override(providers.Singleton(NoCacheInspection))
        container.cache_resources.override(providers.List())
        container.optional.override(providers.Dict(kafka=container.producer))
        container.consumer_optional.override(providers.Dict(commits=container.commits))
    return container


def build_in_memory(settings: Settings) -> Container:
    """The container of one process that needs no server and forgets everything in the end."""
    container = _new_container(settings)
    topic = MemoryTopic()
    container.repository.override(providers.Singleton(MemoryOrderRepository))
    container.cache.override(providers.Singleton(MemoryCache, capacity=settings.cache_capacity))
    container.publisher.override(providers.Singleton(MemoryPublisher, topic))
    container.dead_letter_topic.override(providers.Singleton(MemoryDeadLetters))
    container.source.override(providers.Singleton(MemoryMessageSource, topic))
    container.dead_letter_reader.override(
        providers.Singleton(MemoryDeadLetterReader, container.dead_letter_topic)
    )
    container.replay_journal.override(
        providers.Singleton(MemoryReplayJournal, MemoryJournalStore())
    )
    container.replay_target.override(providers.Singleton(MemoryReplayTarget, topic))
    container.replay_resources.override(providers.List())
    container.inspected.override(
        providers.Dict(memory=providers.Singleton(MemoryInspection, "memory"))
    )
    container.consumer_required.override(providers.Dict(store=container.storing))
    container.consumer_optional.override(providers.Dict())
    container.required.override(providers.Dict())
    container.optional.override(providers.Dict())
    return container


@asynccontextmanager
async def opened(*resources: Resource) -> AsyncIterator[None]:
    """Hold these open. In the end close all of them at once: the slowest bounds it, not the sum."""
    held: list[Resource] = []
    try:
        for resource in resources:
            await resource.open()
            held.append(resource)
        yield
    finally:
        closed = await asyncio.gather(*(r.close() for r in held), return_exceptions=True)
        for failure in filter(None, closed):
            raise failure
