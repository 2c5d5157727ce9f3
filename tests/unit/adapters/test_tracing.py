"""The spans of a process on memory adapters: which there are, of what they are parts, what is said.

The same processes on real servers are traced in tests/integration/system/test_tracing.py.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from dependency_injector import providers
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from orders.adapters.memory.topic import MemoryTopic
from orders.adapters.traced import tracing as tracing_module
from orders.adapters.traced.client_limit import ClientLimit
from orders.adapters.traced.ingest import TracedIngest
from orders.adapters.traced.messaging import senders_of
from orders.adapters.traced.tracing import Tracing
from orders.bootstrap import Container, open_all
from orders.config import Settings
from orders.domain.errors import OrdersError
from orders.domain.intake.messages import Headers, Message, Origin
from orders.entrypoints.http.app import create_app
from orders.entrypoints.http.traced_requests import TracedRequests
from orders.entrypoints.http.use_cases import UseCases
from tests.builders import order_bytes
from tests.waiting import until

TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENT_SPAN = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CLIENT_SPAN}-01"
OTHER = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"
UNSAMPLED = "00-2af7651916cd43dd8448eb211c80319c-d7ad6b7169203331-00"


@dataclass
class Process:
    """API and consumer in one process, with their spans."""

    container: Container
    http: httpx.AsyncClient
    exporter: InMemorySpanExporter
    tracing: Tracing

    @property
    def spans(self) -> list[ReadableSpan]:
        """All that have ended, in the order of their starts."""
        self.tracing._provider.force_flush()
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def forget(self) -> None:
        """Forget all spans so far."""
        self.tracing._provider.force_flush()
        self.exporter.clear()

    def named(self, name: str) -> ReadableSpan:
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def tree(self, trace: str = TRACE) -> dict[str, str | None]:
        """The names of a trace's spans with those of their parents; of others the id."""
        spans = [span for span in self.spans if trace_of(span) == trace]
        names = {span.context.span_id: span.name for span in spans}
        return {
            span.name: span.parent
            and names.get(span.parent.span_id, format_span_id(span.parent.span_id))
            for span in spans
        }

    async def post(self, uid: str = "uid", **headers: str) -> None:
        answer = await self.http.post("/orders", content=order_bytes(uid), headers=headers)
        assert answer.status_code == 202

    async def get(self, uid: str = "uid", **headers: str) -> httpx.Response:
        return await self.http.get(f"/orders/{uid}", headers=headers)

    @asynccontextmanager
    async def consuming(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        run = asyncio.create_task(self.container.ingest_pipeline().run(stop))
        yield
        stop.set()
        await run

    async def consume(self, committed: int) -> None:
        """Run the consumer until so many messages are committed."""
        topic: MemoryTopic = self.container.memory_topic()
        async with self.consuming():
            await until(lambda: topic.committed == [committed])


def trace_of(span: ReadableSpan) -> str:
    return format_trace_id(span.context.trace_id)


@pytest.fixture(autouse=True)
def otel_is_not_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "")


@pytest.fixture
async def started() -> AsyncIterator[Callable[..., Awaitable[Process]]]:
    """Starts processes; settings may be given."""
    opened: list[Process] = []

    async def start(**settings: Any) -> Process:
        exporter = InMemorySpanExporter()
        container = Container(
            settings=Settings(tracing=True, **settings), process="api", backend="memory"
        )
        tracing = Tracing(
            "api",
            is_in_memory=True,
            client_limit=container.settings().tracing_client_limit,
            new_exporter=lambda: exporter,
        )
        container.tracing.override(providers.Object(tracing))
        use_cases = UseCases(
            look_up=container.look_up(),
            list_orders=container.list_orders(),
            publish_document=container.publish_document(),
            publish_random=container.publish_random(),
            readiness=container.readiness(),
            forget=container.forget_orders(),
            watch=container.watch_orders(),
        )
        app = TracedRequests(create_app(use_cases), tracing.tracer)
        for resource in (tracing, *container.look_up_resources()):
            await resource.open()
        transport = httpx.ASGITransport(app)
        http = httpx.AsyncClient(transport=transport, base_url="http://test")
        process = Process(container, http, exporter, tracing)
        opened.append(process)
        return process

    yield start
    for process in opened:
        await process.http.aclose()
        for resource in (*process.container.look_up_resources(), process.tracing):
            await resource.close()


@pytest.fixture
async def process(started: Callable[..., Awaitable[Process]]) -> Process:
    return await started()


async def test_one_trace_from_post_to_commit_and_back_to_the_first_get(process: Process) -> None:
    await process.post(traceparent=TRACEPARENT)
    await process.consume(1)
    await process.container.cache().put({})
    process.container.cache().available = False  # so that the database is asked, too
    assert (await process.get(traceparent=TRACEPARENT)).status_code == 200
    assert process.tree() == {
        "POST /orders": CLIENT_SPAN,
        "send orders": "POST /orders",
        "process orders": "send orders",
        "read orders": "process orders",
        "save orders": "process orders",
        "cache orders": "process orders",
        "commit orders": "process orders",
        "GET /orders/{order_uid}": CLIENT_SPAN,
        "look up orders": "GET /orders/{order_uid}",
        "get cached orders": "look up orders",
        "get orders": "look up orders",
    }
    assert {trace_of(span) for span in process.spans} == {TRACE}


async def test_kinds_and_attributes_follow_the_conventions(process: Process) -> None:
    await process.post(traceparent=TRACEPARENT)
    await process.consume(1)
    await process.get()
    told = {span.name: (span.kind, dict(span.attributes or {})) for span in process.spans}
    topic = {"messaging.system": "memory", "messaging.destination.name": "orders"}
    group = {"messaging.consumer.group.name": "orders-group"}
    assert told["POST /orders"] == (
        SpanKind.SERVER,
        {
            "http.request.method": "POST",
            "http.route": "/orders",
            "http.response.status_code": 202,
            "network.protocol.version": "1.1",
            "url.scheme": "http",
        },
    )
    assert told["send orders"] == (
        SpanKind.PRODUCER,
        {
            **topic,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.batch.message_count": 1,
        },
    )
    assert told["process orders"] == (
        SpanKind.CONSUMER,
        {
            **topic,
            **group,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.partition.id": "0",
            "messaging.kafka.offset": 0,
            "orders.saved": 1,
            "orders.unchanged": 0,
            "orders.dead_letters": 0,
        },
    )
    assert told["save orders"] == (
        SpanKind.CLIENT,
        {
            "db.system.name": "memory",
            "db.collection.name": "orders",
            "db.operation.name": "save",
        },
    )
    assert told["commit orders"][0] is SpanKind.CLIENT
    assert told["commit orders"][1]["messaging.operation.type"] == "settle"
    assert told["GET /orders/{order_uid}"][1]["orders.local_cache.hit"] is False
    resource = process.named("POST /orders").resource.attributes
    assert resource["service.name"] == "orders-api"
    assert resource["service.version"]
    assert resource["service.instance.id"]


async def test_nothing_of_an_order_or_a_client_is_said(process: Process) -> None:
    await process.post("a person's uid", traceparent=TRACEPARENT)
    await process.http.post("/orders", content=b'[{"order_uid": "a person\'s uid"}, "nonsense"]')
    process.container.memory_topic().append(b'{"order_uid": "a person\'s uid"}')
    await process.consume(2)
    await process.get("a%20person's%20uid")
    await process.http.get("/orders", params={"customer_id": "a person's uid"})
    every = " ".join(span.to_json() for span in process.spans)
    assert "save orders" in every
    assert "send orders.dlq" in every
    assert "list orders" in every
    for value in ("person", "127.0.0.1", "httpx", "testserver", "Test Testov", "+972"):
        assert value not in every
    assert not [event for span in process.spans for event in span.events]


async def test_a_batch_of_several_traces_is_found_from_each(process: Process) -> None:
    await process.post("a", traceparent=TRACEPARENT)
    await process.post("b", traceparent=OTHER)
    await process.post("c", traceparent=OTHER)
    await process.consume(3)
    in_batch, *others = [span for span in process.spans if span.name == "process orders"]
    assert trace_of(in_batch) == TRACE
    assert in_batch.attributes
    assert in_batch.attributes["messaging.batch.message_count"] == 3
    senders = [span.context for span in process.spans if span.name == "send orders"]
    assert [link.context.span_id for link in in_batch.links] == [s.span_id for s in senders]
    assert [(trace_of(span), span.parent and span.parent.span_id) for span in others] == [
        (OTHER[3:35], sender.span_id) for sender in senders[1:]
    ]
    for span in others:
        assert [link.context for link in span.links] == [in_batch.context]
    assert process.tree()["save orders"] == "process orders"


async def test_the_traces_of_a_batch_are_bounded(process: Process) -> None:
    topic: MemoryTopic = process.container.memory_topic()
    for number in range(1, 301):
        parent = f"00-{number:032x}-{number:016x}-01".encode()
        topic.append(order_bytes(str(number)), headers=(("traceparent", parent),))
    await process.consume(300)
    batches = [span for span in process.spans if span.name == "process orders"]
    assert len(batches) == 128


async def test_a_message_that_is_not_recorded_is_not_recorded_later(process: Process) -> None:
    await process.post(traceparent=UNSAMPLED)
    (message,) = process.container.memory_topic().partitions[0]
    assert dict(message.headers)["traceparent"].startswith(UNSAMPLED[:36].encode())
    assert dict(message.headers)["traceparent"].endswith(b"-00")
    await process.consume(1)
    await process.get(traceparent=UNSAMPLED)
    assert process.spans == []


async def test_messages_without_a_trace_begin_one(process: Process) -> None:
    process.container.memory_topic().append(order_bytes("uid"))
    await process.consume(1)
    batch = process.named("process orders")
    assert batch.parent is None
    assert process.tree(trace_of(batch))["commit orders"] == "process orders"


_name = st.sampled_from(["traceparent", "tracestate", "other"])
_value = st.one_of(
    st.binary(max_size=80),
    st.from_regex(r"\A[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.?\Z").map(str.encode),
)


@given(st.lists(st.lists(st.tuples(_name, _value), max_size=4).map(tuple), max_size=5))
def test_headers_of_any_producer_are_read(headers: list[Headers]) -> None:
    messages = [
        Message(Origin("orders", 0, offset), b"", headers=each)
        for offset, each in enumerate(headers)
    ]
    senders = senders_of(messages)
    assert all(sender.is_valid for sender in senders)
    assert len(senders) <= len(messages)


@pytest.mark.parametrize(
    "parent", [b"", b"nonsense", b"\xff" * 70, b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01"]
)
async def test_a_header_that_is_no_trace_is_ignored(process: Process, parent: bytes) -> None:
    topic = process.container.memory_topic()
    topic.append(order_bytes("uid"), headers=(("traceparent", parent), ("tracestate", b"\xff=,")))
    await process.consume(1)
    assert process.named("process orders").parent is None


async def test_each_attempt_to_store_is_recorded(process: Process) -> None:
    repository = process.container.repository()
    repository.available = False
    await process.post(traceparent=TRACEPARENT)
    async with process.consuming():
        await until(lambda: [span.name for span in process.spans].count("process orders") >= 2)
        repository.available = True
        await until(lambda: process.container.memory_topic().committed == [1])
    first, *retries = [span for span in process.spans if span.name == "process orders"]
    for span in (first, *retries[:-1]):
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes
        assert span.attributes["error.type"] == "Unavailable"
    assert retries[-1].status.status_code is StatusCode.UNSET
    assert process.named("read orders").parent == first.context
    assert process.named("commit orders").parent == retries[-1].context
    ingest: TracedIngest = process.container.traced_ingest()
    assert not ingest._failed
    assert not ingest._stored._spans


async def test_batches_that_are_joined_are_of_the_traces_of_both(process: Process) -> None:
    messages = [
        Message(Origin("orders", 0, offset), order_bytes(f"{offset}"), headers=headers)
        for offset, headers in enumerate(
            [(("traceparent", parent.encode()),) for parent in (TRACEPARENT, OTHER)]
        )
    ]
    ingest: TracedIngest = process.container.traced_ingest()
    first, second = (ingest.prepare([message]) for message in messages)
    await ingest.store(first.followed_by(second))
    in_batch, other = (span for span in process.spans if span.name == "process orders")
    assert (trace_of(in_batch), trace_of(other)) == (TRACE, OTHER[3:35])
    assert process.named("read orders").parent == in_batch.context
    assert list(ingest._stored._spans) == [messages[-1].origin]


async def test_concurrent_look_ups_of_one_query_lead_to_it(process: Process) -> None:
    await process.post("a")
    await process.post("b")
    await process.consume(2)
    process.container.cache().available = False
    process.forget()
    await asyncio.gather(process.get("a", traceparent=TRACEPARENT), process.get("b"))
    query = process.named("get orders")
    look_ups = {span.context.span_id: span for span in process.spans if "look up" in span.name}
    assert len(look_ups) == 2
    assert query.parent
    del look_ups[query.parent.span_id]
    (other,) = look_ups.values()
    assert query.context in [link.context for link in other.links]


async def test_the_links_of_a_query_are_bounded(process: Process) -> None:
    process.container.cache().available = False
    await asyncio.gather(*(process.get("none") for _ in range(200)))
    spans = process.spans
    queries = [span for span in spans if span.name == "get orders"]
    links = [link for span in spans if span.name == "look up orders" for link in span.links]
    for query in queries:
        assert [link.context for link in links].count(query.context) < 128


async def test_of_a_long_list_the_first_query_is_recorded(process: Process) -> None:
    for number in range(60):  # the first chunk has 50
        process.container.memory_topic().append(order_bytes(f"{number}"))
    await process.consume(60)
    process.forget()
    for _ in range(2):
        answer = await process.http.get("/orders", headers={"traceparent": TRACEPARENT})
        assert len(answer.json()) == 60
    names = [span.name for span in process.spans]
    assert names == ["GET /orders", "list orders"] * 2


async def test_background_work_begins_no_trace(process: Process) -> None:
    await process.container.warm_up()()
    await process.container.cache().put({"uid": b"{}"})
    await process.http.get("/health/ready")
    await process.http.get("/health/live")
    assert process.spans == []


async def test_what_this_process_has_is_told_without_a_span_of_its_own(process: Process) -> None:
    await process.post()
    await process.consume(1)
    await process.get()
    process.forget()
    await process.get(traceparent=TRACEPARENT)
    assert process.tree() == {"GET /orders/{order_uid}": CLIENT_SPAN}
    (span,) = process.spans
    assert span.attributes
    assert span.attributes["orders.local_cache.hit"] is True


async def test_errors_of_the_server_are_errors_and_those_of_clients_are_not(
    process: Process,
) -> None:
    process.container.publisher().available = False
    answer = await process.http.post("/orders", content=order_bytes("a"))
    assert answer.status_code == 503
    await process.get("none")
    await process.http.get("/nowhere")
    await process.http.request("BREW", "/orders")
    posted, sent, got, looked, cached, read, nowhere, brewed = process.spans
    assert posted.status.status_code is StatusCode.ERROR
    assert posted.attributes
    assert posted.attributes["error.type"] == "503"
    assert sent.status.status_code is StatusCode.ERROR
    assert sent.status.description == "the topic is down"
    for span in (got, looked, cached, read, nowhere, brewed):
        assert span.status.status_code is StatusCode.UNSET, span.name
    assert (got.name, nowhere.name, brewed.name) == ("GET /orders/{order_uid}", "GET", "HTTP")


async def test_of_a_foreign_exception_only_its_type_is_said(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(process.container.publisher(), "publish", fail)
    answer = await process.http.post("/orders", content=order_bytes("a"))
    assert answer.status_code == 500
    sent = process.named("send orders")
    assert sent.attributes
    assert sent.attributes["error.type"] == "RuntimeError"
    assert sent.status.status_code is StatusCode.ERROR
    for span in process.spans:
        assert "hunter2" not in span.to_json()
        assert not span.events


async def test_a_client_that_sends_two_traces_sends_none(process: Process) -> None:
    headers = [("traceparent", TRACEPARENT), ("traceparent", OTHER)]
    await process.http.get("/orders/none", headers=headers)
    assert process.named("GET /orders/{order_uid}").parent is None


async def test_vendors_parts_of_the_trace_go_on_if_they_are_small(process: Process) -> None:
    await process.post("a", traceparent=TRACEPARENT, tracestate="vendor=1")
    await process.post("b", traceparent=TRACEPARENT, tracestate="vendor=" + "1" * 600)
    await process.post("c", traceparent=TRACEPARENT, baggage="name=value")
    first, second, third = process.container.memory_topic().partitions[0]
    assert dict(first.headers)["tracestate"] == b"vendor=1"
    assert "tracestate" not in dict(second.headers)
    assert set(dict(third.headers)) == {"x-request-id", "traceparent"}


class TestWhoDecides:
    async def test_clients_have_so_many_recorded(
        self, started: Callable[..., Awaitable[Process]]
    ) -> None:
        process = await started(tracing_client_limit=2)
        for number in range(20):
            await process.post(f"{number}", traceparent=TRACEPARENT)
        recorded = [span for span in process.spans if span.name == "POST /orders"]
        assert 2 <= len(recorded) <= 3  # one more if this took half a second
        last = process.container.memory_topic().partitions[0][-1]
        assert dict(last.headers)["traceparent"].endswith(b"-00")
        assert trace_of(recorded[0]) == TRACE

    async def test_clients_have_none_recorded_if_the_limit_is_0(
        self, started: Callable[..., Awaitable[Process]]
    ) -> None:
        process = await started(tracing_client_limit=0)
        await process.post("a", traceparent=TRACEPARENT)
        await process.post("b")
        (span,) = (span for span in process.spans if span.name == "POST /orders")
        assert span.parent is None

    @pytest.mark.parametrize("sampler", ["traceidratio", "parentbased_traceidratio"])
    async def test_an_id_that_the_ratio_takes_is_limited_too(
        self,
        sampler: str,
        started: Callable[..., Awaitable[Process]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.000001")
        process = await started(tracing_client_limit=2)
        for _ in range(20):
            await process.get(traceparent=f"00-{1:032x}-{1:016x}-01")
        assert 2 <= len([s for s in process.spans if s.name.startswith("GET")]) <= 3
        process.forget()
        for _ in range(20):
            await process.get()
        assert process.spans == []

    async def test_the_limit_is_refilled(self) -> None:
        now = 0.0
        provider = TracerProvider(ClientLimit(ALWAYS_ON, 2, lambda: now), shutdown_on_exit=False)
        tracer = provider.get_tracer("test")
        remote = set_span_in_context(NonRecordingSpan(SpanContext(1, 1, True, TraceFlags(1))))

        def recorded(amount: int, kind: SpanKind = SpanKind.SERVER) -> int:
            spans = [tracer.start_span("a", remote, kind) for _ in range(amount)]
            return sum(span.is_recording() for span in spans)

        assert recorded(5) == 2
        now += 0.5
        assert recorded(5) == 1
        now += 3600
        assert recorded(5) == 2
        assert recorded(5, SpanKind.CONSUMER) == 5


def test_a_variable_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "many")
    with pytest.raises(OrdersError, match="OTEL_SPAN_LINK_COUNT_LIMIT must be"):
        Tracing("api", is_in_memory=True, client_limit=1)


class TestExport:
    async def test_it_ends_within_its_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tracing_module, "CLOSE_TIMEOUT", 0.1)
        release = asyncio.Event()
        loop = asyncio.get_running_loop()

        class Frozen(SpanExporter):
            def export(self, spans: Any) -> SpanExportResult:
                asyncio.run_coroutine_threadsafe(release.wait(), loop).result(30)
                return SpanExportResult.SUCCESS

        tracing = Tracing("api", is_in_memory=True, client_limit=1, new_exporter=Frozen)
        await tracing.open()
        tracing.tracer.start_span("a").end()
        async with asyncio.timeout(5):
            await tracing.close()
        release.set()

    async def test_the_last_spans_are_exported(self) -> None:
        exporter = InMemorySpanExporter()
        tracing = Tracing(
            "consumer", is_in_memory=True, client_limit=1, new_exporter=lambda: exporter
        )
        async with open_all(tracing):
            tracing.tracer.start_span("a").end()
        assert [span.name for span in exporter.get_finished_spans()] == ["a"]


async def test_off_nothing_is_decorated() -> None:
    container = Container(settings=Settings(), process="api", backend="memory")
    assert container.tracing() is None
    assert container.tracing_resources() == []
    assert container.traced_repository() is container.repository()
    assert container.traced_publisher() is container.publisher()
    assert container.look_up()._orders is container.reader()
    assert container.look_up()._local is container.local_cache()


@pytest.mark.parametrize(("is_on", "module"), [(False, ""), (True, "opentelemetry")])
def test_the_packages_are_needed_only_if_it_is_on(is_on: bool, module: str) -> None:
    program = f"""
import sys
sys.modules["opentelemetry"] = None  # as if they were not installed
from orders.bootstrap import build
from orders.config import Settings
from orders.entrypoints.consumer import consume
from orders.entrypoints.http import asgi

settings = Settings(postgres_dsn="host=db.invalid", kafka_bootstrap="b:1", tracing={is_on})
try:
    asgi.create(settings)
    build(settings, "consumer").ingest_pipeline()
except ModuleNotFoundError as error:
    print(error.name.partition(".")[0])
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == module
