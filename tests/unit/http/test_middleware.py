"""What every request has: an id, safe headers, one line in the log, an answer to any error."""

import gc
import re
import tracemalloc
from typing import Any

import httpx
import pytest
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.read_path.no_cache import NoCache, NoLocalCache
from orders.domain.errors import OrdersError, UnknownSchema
from orders.domain.use_cases.look_up_order import LookUpOrder
from orders.entrypoints.http.request_id import IdSource
from tests.unit.http.harness import Api, order, problem

SECRET = "postgresql://orders:hunter2@db.example/orders"
PATHS = ["/", "/orders", "/orders/uid", "/orders/none", "/health/live", "/docs", "/nope"]


class Broken(LookUpOrder):
    def __init__(self, error: Exception) -> None:
        super().__init__(MemoryOrderRepository(), NoLocalCache(NoCache()))
        self.error = error

    async def __call__(self, order_uid: str) -> bytes:
        raise self.error


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("is_cached", [True, False])
async def test_the_request_id_comes_back(
    api: Api, client: httpx.AsyncClient, path: str, is_cached: bool
) -> None:
    api.is_cached = is_cached
    await api.store(order())
    for method in ("GET", "HEAD", "DELETE", "OPTIONS"):
        for sane in ("a", "trace-1:2/3", "~" * 128):
            answer = await client.request(method, path, headers={"X-Request-ID": sane})
            assert answer.headers.get_list("x-request-id") == [sane]


@pytest.mark.parametrize("insane", ["", " ", "a b", "x" * 129, "ü", "a\tb", '"\x7f'])
@pytest.mark.parametrize("path", ["/health/live", "/orders/uid"])
async def test_an_insane_request_id_is_replaced(
    api: Api, client: httpx.AsyncClient, insane: str, path: str
) -> None:
    api.is_cached = True
    await api.store(order())
    headers = {b"X-Request-ID": insane.encode("latin-1")}
    ids = {(await client.get(path, headers=headers)).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(len(made) == 32 for made in ids)


@pytest.mark.parametrize("path", ["/health/live", "/orders/uid"])
async def test_two_request_ids_are_none(api: Api, client: httpx.AsyncClient, path: str) -> None:
    api.is_cached = True
    await api.store(order())
    headers = httpx.Headers([("X-Request-ID", "a"), ("X-Request-ID", "b")])
    answer = await client.get(path, headers=headers)
    assert answer.headers["x-request-id"] not in {"a", "b"}


def test_made_ids_are_of_one_form_and_never_the_same() -> None:
    sources = [IdSource() for _ in range(3)]
    made = [source.new() for _ in range(100) for source in sources]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(rb"[0-9a-f]{32}", one) for one in made)


@pytest.mark.parametrize("path", PATHS)
async def test_safe_headers(api: Api, client: httpx.AsyncClient, path: str) -> None:
    await api.store(order())
    answer = await client.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    (policy,) = answer.headers.get_list("content-security-policy")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/nope", "/health", "/health/live/x", "/docs/nope.js", "/Orders"])
async def test_unknown_paths(client: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        problem(await client.request(method, path), 404, "unknown-path")
    head = await client.head(path)
    assert (head.status_code, head.content) == (404, b"")


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/", "GET, HEAD, OPTIONS"),
        ("/orders", "GET, HEAD, OPTIONS, POST"),
        ("/random/1", "GET, OPTIONS, POST"),
        ("/health/live", "GET, HEAD, OPTIONS"),
        ("/openapi.json", "GET, HEAD, OPTIONS"),
    ],
)
async def test_wrong_methods(client: httpx.AsyncClient, path: str, allow: str) -> None:
    for method in ("PUT", "PATCH", "DELETE", "TRACE"):
        answer = await client.request(method, path)
        problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == allow
    options = await client.options(path)
    assert options.status_code == 204
    assert sorted(options.headers["allow"].split(", ")) == allow.split(", ")


async def test_an_unforeseen_error_is_logged_once_and_told_to_nobody() -> None:
    broken = Broken(RuntimeError(SECRET))
    with capture_logs() as lines:
        async with Api().client(look_up=broken) as client:
            answer = await client.get("/orders/private-uid?token=private")
    problem(answer, 500, "internal")
    assert "hunter2" not in answer.text
    errors = [line for line in lines if line["log_level"] == "error"]
    assert [(line["event"], line["exc_info"]) for line in errors] == [
        ("unforeseen error", broken.error)
    ]
    (request,) = [line for line in lines if line["event"] == "request"]
    assert (request["status"], request["route"]) == (500, "/orders/{order_uid}")
    assert "private" not in str(lines)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UnknownSchema("of a later version"), 500, "internal"),
        (OrdersError("?"), 500, "internal"),
        (ExceptionGroup("several", [ValueError(SECRET)]), 500, "internal"),
    ],
)
async def test_errors_of_every_kind(error: Exception, status: int, code: str) -> None:
    async with Api().client(look_up=Broken(error)) as client:
        answer = await client.get("/orders/uid")
        problem(answer, status, code)
        assert "hunter2" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        head = await client.head("/orders/uid")
        assert (head.status_code, head.content) == (status, b"")
        assert head.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize(
    ("method", "path", "level", "route"),
    [
        ("POST", "/random/1", "info", "/random/{amount}"),
        ("GET", "/random/1", "info", "/random/{amount}"),
        ("GET", "/orders?x=private", "info", "/orders"),
        ("GET", "/private", "info", "unknown"),
        ("DELETE", "/orders/private", "info", "/orders/{order_uid}"),
        ("GET", "/orders", "debug", "/orders"),
        ("GET", "/orders/none", "debug", "/orders/{order_uid}"),
        ("GET", "/orders/uid", "debug", "/orders/{order_uid}"),
        ("HEAD", "/orders/uid", "debug", "/orders/{order_uid}"),
        ("OPTIONS", "/random/1", "debug", "/random/{amount}"),
    ],
)
async def test_one_line_a_request(  # noqa: PLR0917
    api: Api,
    client: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    level: str,
    route: str,
) -> None:
    api.is_cached = True
    await api.store(order())
    caplog.set_level("DEBUG", "orders.http")
    with capture_logs() as lines:
        answer = await client.request(method, path)
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("request", level)
    assert (line["method"], line["route"]) == (method, route)
    assert line["status"] == answer.status_code
    assert line["ms"] >= 0
    assert "private" not in str(line)


@pytest.mark.parametrize("is_cached", [True, False])
async def test_quiet_reads_make_no_line(
    api: Api, client: httpx.AsyncClient, is_cached: bool
) -> None:
    api.is_cached = is_cached
    await api.store(order())
    with capture_logs() as lines:
        await client.get("/orders/uid")
    assert lines == []


async def test_lines_carry_the_request_id() -> None:
    seen: list[Any] = []

    class Looking(LookUpOrder):
        def __init__(self) -> None:
            super().__init__(MemoryOrderRepository(), NoLocalCache(NoCache()))

        async def __call__(self, order_uid: str) -> bytes:
            seen.append(get_contextvars()["request_id"])
            return b"{}"

    async with Api().client(look_up=Looking()) as other:
        await other.get("/orders/a", headers={"X-Request-ID": "mine"})
    assert seen == ["mine"]


async def test_long_paths_are_not_remembered(client: httpx.AsyncClient) -> None:
    """Litestar remembers the last 1,024 that led to a route, and none of these takes a key."""
    long = "%F0%9F%98%80" + "x" * 30_000
    problem(await client.get("/assets/" + long), 404, "unknown-path")
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(20):
            await client.get(f"/assets/{number}{long}")
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 4 * 20 * len(long)  # the client remembers some; Litestar ten times it
