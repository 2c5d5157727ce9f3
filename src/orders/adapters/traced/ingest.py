"""Records how batches are read, stored and committed."""

import time
from collections.abc import Callable, Sequence

from msgspec.structs import asdict
from opentelemetry.trace import SpanContext, SpanKind

from orders.adapters.traced.messaging import Topic, decisive, senders_of
from orders.adapters.traced.spans import Spans
from orders.domain.intake.messages import Batch, Message, Origin
from orders.domain.ports import MessageSource
from orders.domain.use_cases.ingest_batch import IngestBatch, IngestReport, ParsedBatch


class _TracedBatch(ParsedBatch, frozen=True, kw_only=True):
    """A parsed batch with what its span needs; times are in ns of Unix time."""

    first: Origin
    last: Origin
    started: int
    read: int
    senders: tuple[SpanContext, ...]

    def followed_by(self, later: ParsedBatch) -> "_TracedBatch":
        """See ``ParsedBatch.followed_by``."""
        assert isinstance(later, _TracedBatch)
        return _TracedBatch(
            **asdict(super().followed_by(later)),
            first=self.first,
            last=later.last,
            started=self.started,
            read=later.read,
            senders=decisive(self.senders + later.senders),
        )


class StoredBatches:
    """The spans of batches that are stored and not committed yet, by their last message."""

    def __init__(self) -> None:
        self._spans: dict[Origin, SpanContext] = {}

    def add(self, last: Origin, span: SpanContext) -> None:
        """Note that a batch is stored."""
        self._spans[last] = span

    def take(self, last: Origin) -> SpanContext | None:
        """Return the span of a batch that is committed now."""
        return self._spans.pop(last, None)


class TracedIngest(IngestBatch):
    """An ``IngestBatch`` that records what ``ingest`` does: each attempt to store is a span."""

    def __init__(
        self, ingest: IngestBatch, spans: Spans, topic: Topic, stored: StoredBatches
    ) -> None:
        # It has none of the parts of its base class, but another object of that.
        self._ingest = ingest
        self._spans = spans
        self._name = f"process {topic.name}"
        self._attributes = topic.attributes("process", "process")
        self._stored = stored
        self._failed: set[Origin] = set()

    def prepare(self, messages: Sequence[Message]) -> ParsedBatch:
        """See ``IngestBatch.prepare``."""
        started = time.time_ns()
        parsed = self._ingest.prepare(messages)
        return _TracedBatch(
            **asdict(parsed),
            first=messages[0].origin,
            last=messages[-1].origin,
            started=started,
            read=time.time_ns(),
            senders=senders_of(messages),
        )

    async def store(
        self, parsed: ParsedBatch, behind: Callable[[], int] = lambda: 0
    ) -> IngestReport:
        """See ``IngestBatch.store``."""
        assert isinstance(parsed, _TracedBatch)
        is_first = parsed.last not in self._failed
        self._failed.add(parsed.last)
        started = parsed.started if is_first else time.time_ns()
        with self._spans.of_messages(
            parsed.senders, self._name, self._attributes | _described(parsed), started
        ) as span:
            if is_first:
                self._spans.past("read orders", parsed.started, parsed.read)
            report = await self._ingest.store(parsed, behind)
            span.set_attribute("orders.saved", report.saved)
            span.set_attribute("orders.unchanged", report.unchanged)
            span.set_attribute("orders.dead_letters", sum(report.dead.values()))
        self._failed.discard(parsed.last)
        self._stored.add(parsed.last, span.get_span_context())
        return report


class TracedSource(MessageSource):
    """A ``MessageSource`` that records the commits of ``source``."""

    def __init__(
        self, source: MessageSource, spans: Spans, topic: Topic, stored: StoredBatches
    ) -> None:
        self._source = source
        self._spans = spans
        self._name = f"commit {topic.name}"
        self._attributes = topic.attributes("commit", "settle")
        self._stored = stored

    async def receive(self) -> Batch:
        """See ``MessageSource.receive``."""
        return await self._source.receive()

    async def commit(self, batch: Batch) -> None:
        """See ``MessageSource.commit``."""
        span = self._stored.take(batch.messages[-1].origin)
        if span is None:
            await self._source.commit(batch)
            return
        with self._spans.child_of(span, self._name, self._attributes, SpanKind.CLIENT):
            await self._source.commit(batch)


def _described(batch: _TracedBatch) -> dict[str, str | int | bool]:
    if batch.messages > 1:
        return {"messaging.batch.message_count": batch.messages}
    return {
        "messaging.destination.partition.id": str(batch.first.partition),
        "messaging.kafka.offset": batch.first.offset,
    }
