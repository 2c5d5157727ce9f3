"""Limits of one client: rates, requests at a time, failed logins, and the memory they take."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from limits import parse_many

from orders.domain.order.document import encode
from orders.domain.use_cases.look_up_order import LookUpOrder
from orders.entrypoints.http.access import limiting
from orders.entrypoints.http.access.limiting import BoundedCounters, Rates
from orders.entrypoints.http.orders.get_order import GetOrder
from orders.entrypoints.http.problems import HTTPProblem
from orders.log_budget import MAX_LINES
from tests.unit.http.access.access_harness import app, bearer, client_from, new_key, protected
from tests.unit.http.harness import SETTINGS, Api, order, problem


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time of the limits."""
    now = [1000.0]
    monkeypatch.setattr(f"{limiting.__name__}.time.time", lambda: now[0])

    def set_to(moment: float) -> None:
        now[0] = moment

    return set_to


def limited(**more: Any) -> Any:
    return msgspec.structs.replace(SETTINGS, **more)


async def test_a_client_beyond_its_rate_waits(clock: Callable[[float], None]) -> None:
    served = app(limited(http_rate_limit="3/minute"))
    async with client_from(served) as client, client_from(served, "192.0.2.2") as other:
        assert [(await client.get("/orders/uid")).status_code for _ in range(3)] == [404] * 3
        clock(1020.0)
        for url in ("/orders/uid", "/orders", "/", "/random/1"):
            refused = await client.get(url)
            problem(refused, 429, "rate-limited")
            assert refused.headers["retry-after"] == "40"
            assert "default-src 'none'" in refused.headers["content-security-policy"]
        assert (await other.get("/orders/uid")).status_code == 404
        assert (await client.get("/health/live")).status_code == 200
        clock(1060.0)
        assert (await client.get("/orders/uid")).status_code == 404


async def test_each_request_counts_once_however_it_is_answered(
    clock: Callable[[float], None],
) -> None:
    api = Api(is_cached=True)
    await api.store(order("cached"))
    settings = limited(http_rate_limit="4/minute", http_concurrency_limit=1)
    served = app(settings, api)
    async with client_from(served) as client:
        for uid, status in (("cached", 200), ("missing", 404), ("cached", 200), ("missing", 404)):
            assert (await client.get(f"/orders/{uid}")).status_code == status
        assert served.answered_at_once == 2
        problem(await client.get("/orders/cached"), 429, "rate-limited")
        problem(await client.get("/orders/missing"), 429, "rate-limited")
        clock(1060.0)
        assert (await client.get("/orders/cached")).status_code == 200


async def test_a_client_sends_so_many_bytes_of_orders(clock: Callable[[float], None]) -> None:
    body = encode(order("uid"))
    served = app(limited(http_send_limit=f"{2 * len(body)}/minute"))
    async with client_from(served) as client, client_from(served, "192.0.2.2") as other:
        for _ in range(2):
            assert (await client.post("/orders", content=body)).status_code == 202
        with structlog.testing.capture_logs() as lines:
            for _ in range(2):
                problem(await client.post("/orders", content=body), 429, "rate-limited")
        assert [line["of"] for line in lines if line["event"] == "client is limited"] == [
            "bytes of orders"
        ]
        assert (await other.post("/orders", content=body)).status_code == 202
        problem(await other.post(f"/random/{len(body) // 1000 + 1}"), 429, "rate-limited")
        clock(1060.0)
        assert (await client.post("/orders", content=body)).status_code == 202
        assert (await other.post("/random/1")).status_code == 200


async def test_several_rates_hold_at_once(clock: Callable[[float], None]) -> None:
    rates = Rates("requests", parse_many("2/second;3/minute"))
    rates.count("a")
    rates.count("a")
    with pytest.raises(HTTPProblem):
        rates.count("a")
    clock(1001.0)
    with pytest.raises(HTTPProblem) as caught:
        rates.count("a")
    assert dict(caught.value.headers) == {b"retry-after": b"59"}


async def test_a_key_has_a_rate_of_its_own_wherever_it_is_used(path: Path) -> None:
    _, first = new_key(path, "orders:read")
    _, second = new_key(path, "orders:read")
    served = app(protected(path, http_rate_limit="2/minute"))
    async with client_from(served) as here, client_from(served, "192.0.2.9") as there:
        assert (await here.get("/orders", headers=bearer(first))).status_code == 200
        assert (await there.get("/orders", headers=bearer(first))).status_code == 200
        problem(await here.get("/orders", headers=bearer(first)), 429, "rate-limited")
        assert (await here.get("/orders", headers=bearer(second))).status_code == 200
        assert (await here.get("/")).status_code == 200


async def test_a_client_is_logged_once_in_a_window(clock: Callable[[float], None]) -> None:
    served = app(limited(http_rate_limit="1/minute"))
    async with client_from(served, "2001:db8::1") as client:
        with structlog.testing.capture_logs() as lines:
            for _ in range(5):
                await client.post("/random/0")
            clock(1060.0)
            for _ in range(5):
                await client.post("/random/0")
    found = [line for line in lines if line["event"] == "client is limited"]
    assert len(found) == 2
    assert found[0]["client"] == "2001:db8::/64"
    assert found[0]["of"] == "requests"
    requests = [line for line in lines if line["event"] == "request" and line["status"] == 429]
    assert {line["log_level"] for line in requests} <= {"debug"}


async def test_a_client_of_ipv6_is_its_network(clock: Callable[[float], None]) -> None:
    served = app(limited(http_rate_limit="2/minute"))
    statuses = []
    for address in ("2001:db8::1", "2001:db8::ffff:2", "2001:db8::3", "2001:db8:0:1::1"):
        async with client_from(served, address) as client:
            statuses.append((await client.get("/orders/uid")).status_code)
    assert statuses == [404, 404, 429, 404]


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 30)), max_size=200))
def test_counters_are_bounded_and_never_too_high(steps: list[tuple[int, float]]) -> None:
    """Whatever comes: memory is bounded, and nobody is counted more often than it was there."""
    most, now = 8, 1000.0
    counters = BoundedCounters(most)
    seen: dict[str, list[float]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{limiting.__name__}.time.time", lambda: now)
        for client, pause in steps:
            now += pause
            name = str(client)
            seen.setdefault(name, []).append(now)
            count = counters.incr(name, 60)
            assert 1 <= count <= sum(1 for moment in seen[name] if moment > now - 60)
            assert counters.get(name) == count
            assert len(counters) <= most


def test_a_flood_of_addresses_forgets_the_oldest(clock: Callable[[float], None]) -> None:
    counters = BoundedCounters(1000)
    for number in range(20_000):
        counters.incr(str(number), 60)
    assert len(counters) == 1000
    assert (counters.get("18999"), counters.get("19000")) == (0, 1)


async def test_requests_at_a_time() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    class Slow(LookUpOrder):
        def __init__(self) -> None:
            pass

        def peek(self, _: str) -> None:
            return None

        async def __call__(self, _: str) -> bytes:
            entered.set()
            await go_on.wait()
            return b"{}"

    served = app(limited(http_concurrency_limit=1), look_up=Slow())
    async with client_from(served) as client, client_from(served, "192.0.2.2") as other:
        first = asyncio.create_task(client.get("/orders/uid"))
        await entered.wait()
        refused = await client.get("/orders")
        problem(refused, 429, "rate-limited")
        assert refused.headers["retry-after"] == "1"
        assert (await other.get("/orders")).status_code == 200
        assert (await client.get("/health/live")).status_code == 200
        go_on.set()
        assert (await first).status_code == 200
        assert (await client.get("/orders")).status_code == 200


async def test_logins_that_go_on_keep_nobody_else_behind_the_address_out(path: Path) -> None:
    _, key = new_key(path, "orders:read")
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def unfinished() -> AsyncIterator[bytes]:
        yield b"key="
        entered.set()
        await go_on.wait()
        yield key.encode()

    form = {"Content-Length": str(len(f"key={key}"))}
    async with client_from(app(protected(path, http_concurrency_limit=1))) as client:
        first = asyncio.create_task(client.post("/login", content=unfinished(), headers=form))
        await entered.wait()
        assert (await client.get("/")).status_code == 200
        assert (await client.post("/login", data={"key": key})).status_code == 303
        go_on.set()
        assert (await first).status_code == 303


async def test_a_request_that_fails_or_is_cancelled_is_counted_no_more() -> None:
    entered = asyncio.Event()

    class Stuck(LookUpOrder):
        def __init__(self) -> None:
            pass

        def peek(self, _: str) -> None:
            return None

        async def __call__(self, order_uid: str) -> bytes:
            entered.set()
            if order_uid == "stuck":
                await asyncio.Event().wait()
            raise ArithmeticError

    served = app(limited(http_concurrency_limit=1), look_up=Stuck())
    async with client_from(served) as client:
        task = asyncio.create_task(client.get("/orders/stuck"))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(3):
            assert (await client.get("/orders/uid")).status_code == 500
        assert (await client.get("/orders")).status_code == 200


@pytest.fixture
async def guessed(path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, str, Any]]:
    """A client that has presented as many wrong keys as it may, and a right one."""
    _, key = new_key(path, "orders:read")
    served = app(protected(path, http_failure_limit="3/minute"))
    async with client_from(served) as client:
        for number in range(3):
            answer = await client.get("/orders", headers=bearer(f"wrong{number}"))
            problem(answer, 401, "unauthorized")
        yield client, key, served


@pytest.mark.parametrize("given", ["Basic x", "Bearer", "Bearer x y"])
async def test_what_is_no_key_at_all_is_limited_like_a_wrong_one(path: Path, given: str) -> None:
    served = app(protected(path, http_failure_limit="3/minute"))
    async with client_from(served) as client:
        statuses = [
            (await client.get("/orders", headers={"Authorization": given})).status_code
            for _ in range(5)
        ]
    assert statuses == [401, 401, 401, 429, 429]


async def test_guessing_ends_soon(guessed: tuple[httpx.AsyncClient, str, Any]) -> None:
    client, key, served = guessed
    with structlog.testing.capture_logs() as lines:
        await client.get("/orders", headers=bearer("wrong"))
    assert {line["event"] for line in lines if line["log_level"] != "debug"} == {
        "client is limited"
    }
    for url in ("/orders", "/orders/uid", "/"):
        refused = await client.get(url, headers=bearer("wrong"))
        problem(refused, 429, "rate-limited")
        assert 0 < int(refused.headers["retry-after"]) <= 60
    refused = await client.post("/login", data={"key": "wrong"})
    problem(refused, 429, "rate-limited")
    # Others behind the same address have done nothing wrong, nor has another address.
    assert (await client.get("/orders", headers=bearer(key))).status_code == 200
    async with client_from(served, "192.0.2.2") as other:
        problem(await other.get("/orders", headers=bearer("wrong")), 401, "unauthorized")


async def test_clients_of_many_addresses_do_not_fill_the_log(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_key(path, "orders:read")
    monkeypatch.setattr("orders.log_budget.INTERVAL", 3600.0)
    served = app(protected(path, http_failure_limit="1/minute"))
    with structlog.testing.capture_logs() as lines:
        for number in range(MAX_LINES + 20):
            async with client_from(served, f"192.0.2.{number}") as client:
                for _ in range(2):
                    await client.get("/orders", headers=bearer("wrong"))
    assert Counter(line["event"] for line in lines if line["log_level"] != "debug") == {
        "request": MAX_LINES,
        "further wrong keys and tokens are not logged for a while": 1,
        "client is limited": MAX_LINES,
        "further limited clients are not logged for a while": 1,
    }


async def test_a_right_key_does_not_count_as_a_guess(path: Path) -> None:
    _, key = new_key(path, "orders:read")
    async with client_from(app(protected(path, http_failure_limit="1/minute"))) as client:
        for _ in range(5):
            assert (await client.get("/orders", headers=bearer(key))).status_code == 200
        for _ in range(5):  # a browser whose session has ended
            answer = await client.get("/orders", headers={"Cookie": "orders-session=e30.00"})
            problem(answer, 401, "unauthorized")


async def test_login_and_header_share_the_limit(path: Path) -> None:
    new_key(path, "orders:read")
    async with client_from(app(protected(path, http_failure_limit="2/minute"))) as client:
        assert (await client.post("/login", data={"key": "wrong"})).status_code == 401
        assert (await client.get("/orders", headers=bearer("wrong"))).status_code == 401
        assert (await client.post("/login", data={"key": "wrong"})).status_code == 429


async def test_without_any_limit_there_is_no_door() -> None:
    assert isinstance(Api().app().app, GetOrder)
