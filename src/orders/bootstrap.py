"""The composition root: which adapter implements which port.

Nothing here connects. ``open_all`` opens the resources of a process and closes them again.
"""

import asyncio
import operator
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol

from dependency_injector import containers, providers

from orders.adapters.files.order_sink import CsvOrderSink, NdjsonOrderSink
from orders.adapters.files.order_source import FileOrderSource
from orders.adapters.kafka.client.producer import KafkaProducerClient
from orders.adapters.kafka.client.settings import KafkaSettings, new_client_id
from orders.adapters.kafka.consumer.commit_health import KafkaCommits
from orders.adapters.kafka.consumer.gap_health import KafkaGaps
from orders.adapters.kafka.dead_letter_deletion import KafkaDeadLetterDeletion
from orders.adapters.kafka.dead_letter_reader import KafkaDeadLetterReader
from orders.adapters.kafka.dead_letters import KafkaDeadLetters
from orders.adapters.kafka.inspection import KafkaInspection
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.adapters.kafka.publisher import KafkaPublisher
from orders.adapters.kafka.replay_journal import KafkaReplayJournal
from orders.adapters.kafka.replay_target import KafkaReplayTarget
from orders.adapters.logged.dead_letters import LoggedDeadLetters
from orders.adapters.logged.ingest_observer import LoggedIngest
from orders.adapters.logged.store_health import StoreHealth
from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.dead_letter_deletion import MemoryDeadLetterDeletion
from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.inspection import MemoryInspection
from orders.adapters.memory.message_source import MemoryMessageSource
from orders.adapters.memory.order_events import MemoryOrderEvents
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.memory.publisher import MemoryPublisher
from orders.adapters.memory.replay_journal import MemoryJournalStore, MemoryReplayJournal
from orders.adapters.memory.replay_target import MemoryReplayTarget
from orders.adapters.memory.topic import MemoryTopic
from orders.adapters.metered.ingest import (
    MeteredBatches,
    MeteredDeadLetters,
    MeteredIngest,
    MeteredRepository,
    MeteredSource,
)
from orders.adapters.postgres.database import PostgresDatabase, PostgresWrites
from orders.adapters.postgres.erasure import PostgresErasure
from orders.adapters.postgres.inspection import PostgresInspection, ReplicaInspection
from orders.adapters.postgres.legacy_orders import open_legacy_orders
from orders.adapters.postgres.migrator import Migrator
from orders.adapters.postgres.order_census import PostgresOrderCensus
from orders.adapters.postgres.order_events import PostgresOrderEvents
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.replica import REPLICA_TIMEOUTS, PostgresReplica
from orders.adapters.postgres.session import Timeouts
from orders.adapters.random_orders.order_generator import RandomOrderGenerator
from orders.adapters.read_path.circuit_breaker import CircuitBreakerCache
from orders.adapters.read_path.local_cache import BoundedLocalCache
from orders.adapters.read_path.no_cache import NoCache, NoCacheInspection, NoLocalCache
from orders.adapters.read_path.order_reader import CachedOrderReader
from orders.adapters.read_path.replica_reads import ReplicaReads
from orders.adapters.redis_lru.cache import RedisCache
from orders.adapters.redis_lru.inspection import RedisInspection
from orders.config import Settings
from orders.daemon_thread import in_daemon_thread
from orders.domain.dead_letters.forgotten import RememberedDeadLetters
from orders.domain.intake.pipeline import CONCURRENT_STORES, IngestPipeline
from orders.domain.use_cases.check_readiness import CheckReadiness
from orders.domain.use_cases.compare_orders import CompareOrders
from orders.domain.use_cases.delete_dead_letters import DeleteDeadLetters
from orders.domain.use_cases.export_orders import ExportOrders
from orders.domain.use_cases.follow_tombstones import FollowTombstones
from orders.domain.use_cases.forget_orders import ForgetOrders
from orders.domain.use_cases.import_orders import ImportOrders, SendToTopic, StoreDirectly
from orders.domain.use_cases.inspect_dead_letters import InspectDeadLetters
from orders.domain.use_cases.inspect_system import InspectSystem
from orders.domain.use_cases.list_dead_letters import ListDeadLetters
from orders.domain.use_cases.list_orders import ListOrders
from orders.domain.use_cases.look_up_order import LookUpOrder
from orders.domain.use_cases.publish_orders import PublishDocument, PublishRandom
from orders.domain.use_cases.purge_orders import PurgeOrders
from orders.domain.use_cases.replay_dead_letters import ReplayDeadLetters
from orders.domain.use_cases.show_dead_letter import ShowDeadLetter
from orders.domain.use_cases.warm_up_cache import WarmUpCache
from orders.domain.use_cases.watch_orders import WatchOrders


class Resource(Protocol):
    """An object with connections or threads between ``open`` and ``close``."""

    async def open(self) -> None:
        """Start; does not wait for the server and does not fail if it is down."""

    async def close(self) -> None:
        """Stop within a time limit."""


def to_kafka_settings(settings: Settings, process: str = "process") -> KafkaSettings:
    """Return the settings of the Kafka adapters: each ``kafka_NAME`` as ``NAME``."""
    names = set(KafkaSettings.__struct_fields__) - {"client_id"}
    values = {name: getattr(settings, f"kafka_{name}") for name in names}
    values |= {"bootstrap": settings.kafka_bootstrap or "", "client_id": new_client_id(process)}
    return KafkaSettings(**values)


def _choose_cache(settings: Settings, backend: str) -> str:
    if backend == "memory":
        return "memory"
    return "none" if settings.redis_url is None else "redis"


def _choose_repository(settings: Settings, backend: str) -> str:
    if backend == "memory":
        return "memory"
    return "primary" if settings.postgres_read_dsn is None else "replicated"


def _choose_dead_letters(settings: Settings, backend: str) -> str:
    if backend == "memory":
        return "memory"
    return "all" if settings.postgres_dsn is None else "remembered"


def _choose_local_cache(settings: Settings) -> str:
    return "bounded" if settings.local_cache_bytes else "none"


def _tracing(settings: Settings, process: str, backend: str) -> Any:
    """Create what decorates adapters and records their work; None, and no import, if it is off."""
    if not settings.tracing:
        return None
    from orders.adapters.traced.tracing import Tracing  # noqa: PLC0415 (an extra)

    return Tracing(
        process, is_in_memory=backend == "memory", client_limit=settings.tracing_client_limit
    )


def _traced(part: str, tracing: Any, adapter: Any, *names: str) -> Any:
    """Return ``adapter``, decorated if tracing is on; ``names`` are those of topic and group."""
    return adapter if tracing is None else getattr(tracing, part)(adapter, *names)


def _concurrent_stores(pool_max: int) -> int:
    """Return how many batches are stored at a time; leaves a connection for health checks."""
    return max(1, min(CONCURRENT_STORES, pool_max - 1))


class Container(containers.DeclarativeContainer):
    """All objects of a process, each created on first use.

    ``process`` is the name of the process, such as ``api``. ``backend`` is ``servers``, or
    ``memory`` for a single process that needs no servers and keeps nothing after exit.
    """

    settings = providers.Dependency(instance_of=Settings)
    process = providers.Dependency(instance_of=str)
    backend = providers.Dependency(instance_of=str, default="servers")

    tracing = providers.Singleton(_tracing, settings, process, backend)
    tracing_resources = providers.Callable(lambda tracing: [tracing] if tracing else [], tracing)

    database = providers.Singleton(
        PostgresDatabase,
        dsn=settings.provided.postgres_dsn,
        pool_max=settings.provided.postgres_pool_max,
        timeouts=providers.Factory(Timeouts, liveness=settings.provided.postgres_liveness_timeout),
        pooler=settings.provided.postgres_pooler,
    )
    replica_database = providers.Singleton(
        PostgresDatabase,
        dsn=settings.provided.postgres_read_dsn,
        pool_max=settings.provided.postgres_pool_max,
        timeouts=REPLICA_TIMEOUTS,
        pooler=settings.provided.postgres_pooler,
        name="Replica",
    )
    migrator = providers.Singleton(Migrator, database)
    which_cache = providers.Callable(_choose_cache, settings, backend)
    redis = providers.Singleton(
        RedisCache,
        url=settings.provided.redis_url,
        capacity=settings.provided.cache_capacity,
        prefix=settings.provided.cache_prefix,
    )
    cache = providers.Selector(
        which_cache,
        redis=providers.Singleton(CircuitBreakerCache, redis),
        none=providers.Singleton(NoCache),
        memory=providers.Singleton(MemoryCache, capacity=settings.provided.cache_capacity),
    )
    cache_resources = providers.Selector(
        which_cache,
        redis=providers.List(redis),
        none=providers.List(),
        memory=providers.List(),
    )

    which_repository = providers.Callable(_choose_repository, settings, backend)
    memory_repository = providers.Singleton(MemoryOrderRepository)
    primary = providers.Singleton(PostgresOrderRepository, database)
    repository = providers.Selector(
        which_repository,
        primary=primary,
        replicated=providers.Singleton(
            ReplicaReads,
            primary,
            providers.Singleton(PostgresOrderRepository, replica_database, is_replica=True),
            cache,
        ),
        memory=memory_repository,
    )
    erasure = providers.Selector(
        backend,
        servers=providers.Singleton(PostgresErasure, database),
        memory=providers.Singleton(MemoryErasure, memory_repository),
    )

    memory_topic = providers.Singleton(MemoryTopic)
    memory_dead_letters = providers.Singleton(MemoryDeadLetters)
    kafka_settings = providers.Singleton(to_kafka_settings, settings, process)
    producer = providers.Singleton(KafkaProducerClient, kafka_settings, ensures="source")
    dead_letter_producer = providers.Singleton(KafkaProducerClient, kafka_settings)
    source = providers.Selector(
        backend,
        servers=providers.Singleton(KafkaMessageSource, kafka_settings),
        memory=providers.Singleton(MemoryMessageSource, memory_topic),
    )
    publisher = providers.Selector(
        backend,
        servers=providers.Singleton(KafkaPublisher, producer, kafka_settings),
        memory=providers.Singleton(MemoryPublisher, memory_topic),
    )
    dead_letter_topic = providers.Selector(
        backend,
        servers=providers.Singleton(KafkaDeadLetters, dead_letter_producer, kafka_settings),
        memory=memory_dead_letters,
    )
    dead_letters = providers.Singleton(
        LoggedDeadLetters, providers.Singleton(MeteredDeadLetters, dead_letter_topic)
    )
    all_dead_letters = providers.Selector(
        backend,
        servers=providers.Singleton(KafkaDeadLetterReader, kafka_settings),
        memory=providers.Singleton(MemoryDeadLetterReader, memory_dead_letters),
    )
    remembered_dead_letters = providers.Singleton(RememberedDeadLetters, all_dead_letters, erasure)
    which_dead_letters = providers.Callable(_choose_dead_letters, settings, backend)
    dead_letter_reader = providers.Selector(
        which_dead_letters,
        all=all_dead_letters,
        remembered=remembered_dead_letters,
        memory=remembered_dead_letters,
    )
    dead_letter_resources = providers.Selector(
        which_dead_letters,
        all=providers.List(),
        remembered=providers.List(database),
        memory=providers.List(),
    )
    replay_producer = providers.Singleton(KafkaProducerClient, kafka_settings, ensures="none")
    replay_journal = providers.Selector(
        backend,
        servers=providers.Singleton(KafkaReplayJournal, replay_producer, kafka_settings),
        memory=providers.Singleton(MemoryReplayJournal, providers.Singleton(MemoryJournalStore)),
    )
    replay_target = providers.Selector(
        backend,
        servers=providers.Singleton(KafkaReplayTarget, replay_producer, kafka_settings),
        memory=providers.Singleton(MemoryReplayTarget, memory_topic),
    )
    replay_resources = providers.Selector(
        backend, servers=providers.List(replay_producer), memory=providers.List()
    )

    generator = providers.Singleton(RandomOrderGenerator)

    local_cache = providers.Selector(
        providers.Callable(_choose_local_cache, settings),
        bounded=providers.Singleton(
            BoundedLocalCache,
            cache,
            max_bytes=settings.provided.local_cache_bytes,
            capacity=settings.provided.cache_capacity,
        ),
        none=providers.Singleton(NoLocalCache, cache),
    )
    traced_repository = providers.Singleton(_traced, "repository", tracing, repository)
    traced_cache = providers.Selector(
        which_cache,
        redis=providers.Singleton(_traced, "cache", tracing, cache),
        none=cache,
        memory=providers.Singleton(_traced, "cache", tracing, cache),
    )
    reader = providers.Singleton(CachedOrderReader, traced_repository, traced_cache, local_cache)
    look_up = providers.Singleton(
        LookUpOrder,
        providers.Singleton(_traced, "reader", tracing, reader),
        providers.Singleton(_traced, "local_cache", tracing, local_cache),
    )
    list_orders = providers.Singleton(ListOrders, traced_repository, local_cache.provided.recent)
    watch_orders = providers.Singleton(
        WatchOrders,
        providers.Selector(
            backend,
            servers=providers.Singleton(PostgresOrderEvents, database),
            memory=providers.Singleton(MemoryOrderEvents, memory_repository),
        ),
        settings.provided.http_max_listeners,
    )
    follow_tombstones = providers.Singleton(
        FollowTombstones, erasure, cache, local_cache, watch_orders
    )
    forget_orders = providers.Singleton(ForgetOrders, erasure, follow_tombstones)
    purge_orders = providers.Singleton(PurgeOrders, erasure, forget_orders)
    traced_publisher = providers.Singleton(
        _traced, "publisher", tracing, publisher, settings.provided.kafka_topic
    )
    publish_document = providers.Singleton(PublishDocument, traced_publisher)
    publish_random = providers.Singleton(PublishRandom, generator, traced_publisher)
    import_to_topic = providers.Singleton(
        ImportOrders, providers.Singleton(SendToTopic, traced_publisher)
    )
    past_replicas = providers.Selector(backend, servers=primary, memory=memory_repository)
    import_directly = providers.Singleton(
        ImportOrders, providers.Singleton(StoreDirectly, past_replicas)
    )
    export_orders = providers.Singleton(ExportOrders, past_replicas)
    file_source = providers.Object(FileOrderSource)
    legacy_orders = providers.Callable(
        partial, open_legacy_orders, own_dsn=settings.provided.postgres_dsn
    )
    compare_orders = providers.Singleton(
        CompareOrders, providers.Singleton(PostgresOrderCensus, database), erasure
    )
    ndjson_sink = providers.Object(NdjsonOrderSink)
    csv_sink = providers.Object(CsvOrderSink)
    warm_up = providers.Singleton(WarmUpCache, repository, cache, settings.provided.cache_capacity)
    ingest = providers.Singleton(
        MeteredBatches,
        providers.Singleton(MeteredRepository, traced_repository),
        providers.Singleton(
            _traced, "dead_letters", tracing, dead_letters, settings.provided.kafka_dlq_topic
        ),
        traced_cache,
        settings.provided.cache_capacity,
        erasure=erasure,
    )
    topic_and_group = (settings.provided.kafka_topic, settings.provided.kafka_group)
    traced_ingest = providers.Singleton(_traced, "ingest", tracing, ingest, *topic_and_group)
    traced_source = providers.Singleton(_traced, "source", tracing, source, *topic_and_group)
    list_dead_letters = providers.Singleton(ListDeadLetters, dead_letter_reader, replay_journal)
    show_dead_letter = providers.Singleton(ShowDeadLetter, dead_letter_reader, replay_journal)
    replay_dead_letters = providers.Singleton(
        ReplayDeadLetters, dead_letter_reader, replay_journal, replay_target
    )

    delete_dead_letters = providers.Singleton(
        DeleteDeadLetters,
        all_dead_letters,
        dead_letter_reader,
        replay_journal,
        providers.Selector(
            backend,
            servers=providers.Singleton(KafkaDeadLetterDeletion, kafka_settings),
            memory=providers.Singleton(MemoryDeadLetterDeletion, memory_dead_letters),
        ),
    )

    store_health = providers.Singleton(StoreHealth)
    commits = providers.Singleton(KafkaCommits, source)
    gap = providers.Singleton(KafkaGaps, source)
    required = providers.Selector(
        backend, servers=providers.Dict(postgres=database), memory=providers.Dict()
    )
    optional = providers.Callable(
        operator.or_,
        providers.Selector(
            which_cache,
            redis=providers.Dict(kafka=producer, redis=cache),
            none=providers.Dict(kafka=producer),
            memory=providers.Dict(),
        ),
        providers.Selector(
            which_repository,
            primary=providers.Dict(),
            replicated=providers.Dict(
                replica=providers.Singleton(PostgresReplica, replica_database)
            ),
            memory=providers.Dict(),
        ),
    )
    readiness = providers.Singleton(CheckReadiness, required, optional)
    consumer_required = providers.Selector(
        backend,
        servers=providers.Dict(
            postgres=providers.Singleton(PostgresWrites, database),
            kafka=source,
            dead_letters=dead_letter_topic,
            store=store_health,
        ),
        memory=providers.Dict(store=store_health),
    )
    consumer_optional = providers.Selector(
        which_cache,
        redis=providers.Dict(commits=commits, gap=gap, redis=cache),
        none=providers.Dict(commits=commits, gap=gap),
        memory=providers.Dict(),
    )
    consumer_readiness = providers.Singleton(CheckReadiness, consumer_required, consumer_optional)

    redis_inspection = providers.Selector(
        which_cache,
        redis=providers.Singleton(
            RedisInspection, settings.provided.redis_url, settings.provided.cache_prefix
        ),
        none=providers.Singleton(NoCacheInspection),
    )
    inspected_servers = providers.Dict(
        postgres=providers.Singleton(
            PostgresInspection,
            settings.provided.postgres_dsn,
            settings.provided.postgres_pool_max,
            settings.provided.postgres_pooler,
        ),
        redis=redis_inspection,
        kafka=providers.Singleton(KafkaInspection, kafka_settings),
    )
    inspected_replica = providers.Dict(
        replica=providers.Singleton(
            ReplicaInspection,
            settings.provided.postgres_read_dsn,
            settings.provided.postgres_pool_max,
            settings.provided.postgres_pooler,
        )
    )
    inspected = providers.Selector(
        which_repository,
        primary=inspected_servers,
        replicated=providers.Callable(operator.or_, inspected_servers, inspected_replica),
        memory=providers.Dict(memory=providers.Singleton(MemoryInspection, "memory")),
    )
    dead_letters_inspection = providers.Singleton(InspectDeadLetters, list_dead_letters)
    inspect_system = providers.Singleton(
        InspectSystem,
        inspected,
        providers.Dict(kafka=providers.Dict({"dead-letters": dead_letters_inspection})),
    )
    ingest_pipeline = providers.Factory(
        IngestPipeline,
        providers.Singleton(MeteredSource, traced_source),
        traced_ingest,
        providers.Singleton(MeteredIngest, providers.Singleton(LoggedIngest, store_health)),
        run_in_thread=providers.Object(in_daemon_thread),
        concurrent_stores=providers.Callable(
            _concurrent_stores, settings.provided.postgres_pool_max
        ),
    )

    # Opened before the servers that they use.
    look_up_resources = providers.List(local_cache, reader)
    api_resources = providers.Selector(
        which_repository,
        primary=providers.List(database, producer),
        replicated=providers.List(database, replica_database, producer),
        memory=providers.List(),
    )
    consumer_resources = providers.List(database, dead_letter_producer, source)


def build(settings: Settings, process: str) -> Container:
    """Create the container of a process on PostgreSQL, Redis and Kafka."""
    return Container(settings=settings, process=process)


def build_in_memory(settings: Settings) -> Container:
    """Create the container of a process on in-memory adapters."""
    return Container(settings=settings, process="api", backend="memory")


@asynccontextmanager
async def open_all(*resources: Resource) -> AsyncIterator[None]:
    """Open ``resources`` in order, and close them concurrently after the block."""
    opened: list[Resource] = []
    try:
        for resource in resources:
            await resource.open()
            opened.append(resource)
        yield
    finally:
        closed = await asyncio.gather(*(r.close() for r in opened), return_exceptions=True)
        for failure in filter(None, closed):
            raise failure
