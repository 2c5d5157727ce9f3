"""One trace through processes and servers, as a collector gets it by OTLP."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from tests.builders import order_bytes
from tests.integration.system.collector import Collector
from tests.integration.system.processes import System, system
from tests.waiting import wait_until

TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENT_SPAN = "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{CLIENT_SPAN}-01"}


@pytest.fixture
def collector() -> Any:
    with Collector() as listening:
        yield listening


@pytest.fixture
def traced(system_environment: dict[str, str], collector: Collector, tmp_path: Path) -> Any:
    settings = {
        "ORDERS_TRACING": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20c2VjcmV0",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with system(system_environment | settings, tmp_path) as made:
        yield made


def lines(running: System, process: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in running.log(process).splitlines()]


def store(running: System, uid: str, headers: dict[str, str]) -> None:
    answer = running.http.post("/orders", content=order_bytes(uid), headers=headers)
    assert answer.status_code == 202

    def is_stored() -> bool:
        # By the list, which is another route, so that the order is not in the API's cache.
        return bool(running.http.get("/orders", params={"order_uid": uid}).json())

    wait_until(is_stored, 30, "the order is stored", partial(running.log, "consumer"))


def test_one_trace_from_post_to_get(traced: System, collector: Collector) -> None:
    traced.start_consumer()
    traced.start_api()
    store(traced, "uid", TRACEPARENT)
    with redis.Redis.from_url(traced.environment["ORDERS_REDIS_URL"]) as cache:
        cache.delete(f"{{{traced.environment['ORDERS_CACHE_PREFIX']}}}:documents")
    assert traced.http.get("/orders/uid", headers=TRACEPARENT).status_code == 200
    wait_until(lambda: len(collector.of(TRACE)) >= 11, 30, "all spans are there")
    found = {received.span.name: received for received in collector.of(TRACE)}
    names = {received.span.span_id: name for name, received in found.items()}
    parents = {
        (received.service, name): names.get(
            received.span.parent_span_id, received.span.parent_span_id.hex()
        )
        for name, received in found.items()
    }
    topic = traced.topic
    assert parents == {
        ("orders-api", "POST /orders"): CLIENT_SPAN,
        ("orders-api", f"send {topic}"): "POST /orders",
        ("orders-consumer", f"process {topic}"): f"send {topic}",
        ("orders-consumer", "read orders"): f"process {topic}",
        ("orders-consumer", "save orders"): f"process {topic}",
        ("orders-consumer", "cache orders"): f"process {topic}",
        ("orders-consumer", f"commit {topic}"): f"process {topic}",
        ("orders-api", "GET /orders/{order_uid}"): CLIENT_SPAN,
        ("orders-api", "look up orders"): "GET /orders/{order_uid}",
        ("orders-api", "get cached orders"): "look up orders",
        ("orders-api", "get orders"): "look up orders",
    }
    systems = {
        name: attribute.value.string_value
        for name, received in found.items()
        for attribute in received.span.attributes
        if attribute.key in {"db.system.name", "messaging.system"}
    }
    assert systems == {
        f"send {topic}": "kafka",
        f"process {topic}": "kafka",
        f"commit {topic}": "kafka",
        "save orders": "postgresql",
        "get orders": "postgresql",
        "cache orders": "redis",
        "get cached orders": "redis",
    }
    assert {headers["authorization"] for headers in collector.headers} == {"Basic c2VjcmV0"}
    for process in ("api", "consumer"):
        assert "c2VjcmV0" not in traced.log(process)
    (posted,) = [
        line
        for line in lines(traced, "api")
        if line["event"] == "request" and line["method"] == "POST"
    ]
    assert posted["trace_id"] == TRACE
    assert posted["span_id"] == found["POST /orders"].span.span_id.hex()
    assert "trace_id" not in lines(traced, "api")[0]


def test_every_worker_exports_also_the_last_spans(traced: System, collector: Collector) -> None:
    traced.start_api(ORDERS_HTTP_WORKERS="2", OTEL_BSP_SCHEDULE_DELAY="600000")

    def asked() -> set[str]:
        return {line["span_id"] for line in lines(traced, "api") if "span_id" in line}

    def both_asked() -> bool:
        httpx.get(f"{traced.http.base_url}/orders/none")  # a connection of its own
        return len(asked()) >= 40

    wait_until(both_asked, 30, "40 requests")
    assert collector.spans == []
    assert traced.stop("api") == 0
    exported = {r.span.span_id.hex(): r.instance for r in collector.spans}
    assert asked() <= set(exported)
    assert len(set(exported.values())) == 2


def test_a_collector_that_fails_is_said_once_and_harms_nothing(
    traced: System, collector: Collector
) -> None:
    collector.status = 500
    traced.start_consumer()
    traced.start_api()
    store(traced, "a", {})

    def said(event: str) -> list[dict[str, Any]]:
        return [line for line in lines(traced, "api") if line["event"] == event]

    wait_until(lambda: bool(said("spans cannot be exported")), 30, "it is said")
    assert [line["reason"] for line in said("spans cannot be exported")] == ["HTTP 500"]
    collector.status = 200
    store(traced, "b", {})
    wait_until(lambda: bool(said("spans can be exported again")), 30, "it works again")
    assert said("spans can be exported again")[0]["lost"] >= 1
    assert len(said("spans cannot be exported")) == 1
    assert not [line for line in lines(traced, "api") if "opentelemetry" in line["logger"]]


def test_without_a_collector_processes_start_and_end_in_time(
    system_environment: dict[str, str], tmp_path: Path
) -> None:
    settings = {"ORDERS_TRACING": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with system(system_environment | settings, tmp_path) as running:
        running.start_consumer()
        running.start_api()
        store(running, "a", {})
        for process in ("api", "consumer"):
            assert running.stop(process) == 0
            assert "Traceback" not in running.log(process)
