"""GET /metrics, of one worker and of several."""

import asyncio
import os
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from orders.config import Settings
from orders.entrypoints.http import metrics, worker_metrics
from tests.unit.http.harness import Api, order
from tests.waiting import settle, until


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "SHARED_SECONDS", 0)


REQUESTS = "orders_http_request_duration_seconds_count"


def samples(text: str) -> dict[tuple[str, ...], float]:
    """The value of each series, by its name and the values of its labels in order."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_requests_are_counted_by_route_method_and_status() -> None:
    api = Api()
    await api.store(order("uid"))
    async with api.client() as client:
        before = samples((await client.get("/metrics")).text)
        for _ in range(3):
            await client.get("/orders/uid")
        await client.head("/orders/uid")
        await client.get("/orders/another")
        await client.get("/orders?limit=1")
        await client.request("BREW", "/orders")
        await client.get("/nowhere/at/all")
        after = samples((await client.get("/metrics")).text)
    new = {
        key[1:]: value - before.get(key, 0)
        for key, value in after.items()
        if key[0] == REQUESTS and value != before.get(key, 0)
    }
    assert new == {
        ("GET", "/orders/{order_uid}", "200"): 3,
        ("HEAD", "/orders/{order_uid}", "200"): 1,
        ("GET", "/orders/{order_uid}", "404"): 1,
        ("GET", "/orders", "200"): 1,
        ("other", "unknown", "405"): 1,
        ("GET", "unknown", "404"): 1,
        ("GET", "/metrics", "200"): 1,
    }


async def test_look_ups_are_counted_by_layer() -> None:
    api = Api(is_cached=True)
    await api.store(order("uid"))
    async with api.client() as client:
        before = samples((await client.get("/metrics")).text)
        for uid in ("uid", "uid", "another"):
            await client.get(f"/orders/{uid}")
        after = samples((await client.get("/metrics")).text)
    for result, number in {"hit": 2, "miss": 1}.items():
        key = "orders_lookups_total", "local", result
        assert after[key] - before.get(key, 0) == number


ONE = """# TYPE orders_lookups_total counter
orders_lookups_total{layer="local"} 3.0
# TYPE orders_postgres_connections gauge
orders_postgres_connections{state="idle"} 2.0
# TYPE orders_dependency_up gauge
orders_dependency_up{dependency="redis"} 0.0
# TYPE orders_dependency_degraded gauge
orders_dependency_degraded{dependency="redis"} 0.0
# TYPE t histogram
t_bucket{le="1.0"} 1.0
t_bucket{le="+Inf"} 2.0
t_count 2.0
t_sum 7.5
"""
OTHER = """# TYPE orders_lookups_total counter
orders_lookups_total{layer="local"} 4.0
orders_lookups_total{layer="shared"} 1.0
# TYPE orders_postgres_connections gauge
orders_postgres_connections{state="idle"} 1.0
# TYPE orders_dependency_up gauge
orders_dependency_up{dependency="redis"} 1.0
# TYPE orders_dependency_degraded gauge
orders_dependency_degraded{dependency="redis"} 1.0
# TYPE t histogram
t_bucket{le="1.0"} 2.0
t_bucket{le="+Inf"} 2.0
t_count 2.0
t_sum 0.5
"""


def test_workers_are_added_up() -> None:
    assert samples(
        worker_metrics.combined(map(text_string_to_metric_families, (ONE, OTHER))).decode()
    ) == {
        ("orders_lookups_total", "local"): 7,
        ("orders_lookups_total", "shared"): 1,
        ("orders_postgres_connections", "idle"): 3,
        ("orders_dependency_up", "redis"): 0,
        ("orders_dependency_degraded", "redis"): 1,
        ("t_bucket", "1.0"): 3,
        ("t_bucket", "+Inf"): 4,
        ("t_count",): 4,
        ("t_sum",): 8,
    }


@pytest.mark.parametrize("hangs", [True, False])
async def test_no_sum_that_lacks_a_worker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, hangs: bool
) -> None:
    """The counters would seem to have gone backwards, and Prometheus would count them again."""
    monkeypatch.setattr(worker_metrics, "_folder", tmp_path)
    monkeypatch.setattr(worker_metrics, "_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX) as worker:
        worker.bind(str(tmp_path / "1"))
        if hangs:
            worker.listen()
        async with Api().client() as client:
            response = await client.get("/metrics")
    assert response.status_code == 503
    assert response.json()["detail"] == "a worker does not give its metrics"


async def test_scrapes_within_a_second_cost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "SHARED_SECONDS", 60)
    begun, go_on = [], threading.Event()

    def exposition() -> bytes:
        begun.append(1)
        go_on.wait(10)
        return b"text"

    monkeypatch.setattr(worker_metrics, "exposition", exposition)
    async with Api().client() as client:
        requests = [asyncio.ensure_future(client.get("/metrics")) for _ in range(50)]
        await until(lambda: bool(begun))
        await settle()
        requests[0].cancel()  # the others do not depend on it
        go_on.set()
        responses = await asyncio.gather(*requests[1:])
        responses.append(await client.get("/metrics"))
        assert {response.text for response in responses} == {"text"}
        assert len(begun) == 1
        monkeypatch.setattr(metrics, "SHARED_SECONDS", 0)
        await client.get("/metrics")
    assert len(begun) == 2


@pytest.mark.parametrize("sent", [b"", b"half"])
async def test_a_worker_that_ends_while_it_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sent: bytes
) -> None:
    monkeypatch.setattr(worker_metrics, "_folder", tmp_path)
    with socket.socket(socket.AF_UNIX) as worker:
        worker.bind(str(tmp_path / "1"))
        worker.listen()

        def answer() -> None:
            connection, _ = worker.accept()
            with connection:
                connection.sendall(sent)

        threading.Thread(target=answer).start()
        async with Api().client() as client:
            assert (await client.get("/metrics")).status_code == 503


async def test_the_metrics_of_two_workers_by_their_sockets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(worker_metrics, "_folder", None)
    monkeypatch.setattr(worker_metrics, "_SECONDS", 30.0)  # the machine may be busy
    worker_metrics.share(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / str(os.getpid()))
    async with Api().client() as client:
        await client.get("/orders/uid")
        found = samples((await client.get("/metrics")).text)
    key = "GET", "/orders/{order_uid}", "404"
    alone = REGISTRY.get_sample_value(
        REQUESTS, dict(zip(("method", "route", "status"), key, strict=True))
    )
    assert alone
    assert found[REQUESTS, *key] == 2 * alone


async def test_many_readers_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    accepting: list[threading.Thread] = []
    with monkeypatch.context() as patch, ExitStack() as readers:
        patch.setattr(worker_metrics, "_folder", None)
        patch.setattr(threading.Thread, "start", lambda thread: accepting.append(thread))
        worker_metrics.share(tmp_path)
        for _ in range(50):
            reader = readers.enter_context(socket.socket(socket.AF_UNIX))
            reader.setblocking(False)
            reader.connect(str(tmp_path / str(os.getpid())))


async def test_not_on_the_port_of_the_api() -> None:
    async with Api(settings=Settings(http_metrics=False)).client() as client:
        assert (await client.get("/metrics")).status_code == 404
