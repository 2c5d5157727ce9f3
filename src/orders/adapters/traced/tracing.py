"""Tracing of one process: what decorates its adapters, and the export of its spans."""

import asyncio
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version

import structlog
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from orders.adapters.traced.cache import TracedCache, TracedLocalCache
from orders.adapters.traced.client_limit import ClientLimit
from orders.adapters.traced.dead_letters import TracedDeadLetters
from orders.adapters.traced.exporter import LoggedExporter
from orders.adapters.traced.ingest import StoredBatches, TracedIngest, TracedSource
from orders.adapters.traced.look_ups import LookUps
from orders.adapters.traced.messaging import Topic
from orders.adapters.traced.order_repository import TracedReader, TracedRepository
from orders.adapters.traced.publisher import TracedPublisher
from orders.adapters.traced.spans import Spans
from orders.daemon_thread import in_daemon_thread
from orders.domain.errors import OrdersError
from orders.domain.ports import (
    Cache,
    DeadLetters,
    LocalCache,
    MessageSource,
    OrderReader,
    OrderRepository,
    Publisher,
)
from orders.domain.use_cases.ingest_batch import IngestBatch

CLOSE_TIMEOUT = 2.0
"""Seconds that the last spans may take at the end of the process."""

_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"

_log = structlog.get_logger(__name__)


class Tracing:
    """Decorates adapters so that they record spans, and exports those between open and close.

    The sampler, the limits of spans, their resource and their export are configured by the usual
    OTEL_* variables.

    Args:
        process: the name of the process, such as ``api``.
        is_in_memory: whether the adapters are those in memory.
        client_limit: traces a second that clients can have recorded.
        new_exporter: creates the exporter.

    Raises:
        OrdersError: a variable for the limits of spans is no number.
    """

    def __init__(
        self,
        process: str,
        *,
        is_in_memory: bool,
        client_limit: int,
        new_exporter: Callable[[], SpanExporter] = LoggedExporter,
    ) -> None:
        try:
            self._provider = TracerProvider(resource=_resource(process), shutdown_on_exit=False)
        except ValueError as error:  # a variable for limits of spans
            raise OrdersError(str(error)) from None
        self._provider.sampler = ClientLimit(self._provider.sampler, client_limit)
        self._is_in_memory = is_in_memory
        self._new_exporter = new_exporter
        self._look_ups = LookUps()
        self._stored = StoredBatches()
        self.tracer = self._provider.get_tracer("orders", version("orders"))
        self._spans = Spans(self.tracer)

    async def open(self) -> None:
        """Start to export spans, in a thread; whatever prevents it is logged."""
        protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), _PROTOCOL)
        if protocol != _PROTOCOL:
            _log.warning("spans are sent by OTLP over HTTP only", ignored=protocol)
        try:
            self._provider.add_span_processor(BatchSpanProcessor(self._new_exporter()))
        except Exception as error:  # noqa: BLE001 (the text may have a value of a variable)
            _log.warning("spans are not exported", reason=type(error).__name__)

    async def close(self) -> None:
        """Export the last spans, within ``CLOSE_TIMEOUT``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await in_daemon_thread(self._provider.shutdown)

    def publisher(self, publisher: Publisher, topic: str) -> Publisher:
        """Record what ``publisher`` does."""
        return TracedPublisher(publisher, self._spans, self._topic(topic))

    def dead_letters(self, dead_letters: DeadLetters, topic: str) -> DeadLetters:
        """Record what ``dead_letters`` does."""
        return TracedDeadLetters(dead_letters, self._spans, self._topic(topic))

    def ingest(self, ingest: IngestBatch, topic: str, group: str) -> IngestBatch:
        """Record what ``ingest`` does."""
        return TracedIngest(ingest, self._spans, self._topic(topic, group), self._stored)

    def source(self, source: MessageSource, topic: str, group: str) -> MessageSource:
        """Record the commits of ``source``."""
        return TracedSource(source, self._spans, self._topic(topic, group), self._stored)

    def repository(self, repository: OrderRepository) -> OrderRepository:
        """Record what ``repository`` does."""
        return TracedRepository(repository, self._spans, self._look_ups, self._system("postgresql"))

    def reader(self, reader: OrderReader) -> OrderReader:
        """Record the look-ups of ``reader``."""
        return TracedReader(reader, self._spans, self._look_ups)

    def cache(self, cache: Cache) -> Cache:
        """Record what ``cache`` does."""
        return TracedCache(cache, self._spans, self._look_ups, self._system("redis"))

    def local_cache(self, cache: LocalCache) -> LocalCache:
        """Record whether ``cache`` has orders."""
        return TracedLocalCache(cache)

    def _topic(self, name: str, group: str | None = None) -> Topic:
        return Topic(self._system("kafka"), name, group)

    def _system(self, server: str) -> str:
        return "memory" if self._is_in_memory else server


def _resource(process: str) -> Resource:
    """What every span says about its process; the variables for it come first."""
    ours = {
        "service.name": f"orders-{process}",
        "service.version": version("orders"),
        "service.instance.id": str(uuid.uuid4()),
    }
    return Resource.create(ours).merge(OTELResourceDetector().detect())
