"""Requests that last: the key, token or session that let them in may end meanwhile."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import structlog

from orders.domain.order.document import StoredOrder, encode
from orders.domain.order.queries import OrderQuery
from orders.domain.use_cases.list_orders import ListOrders
from orders.entrypoints.http.access import keys, sessions, tokens
from orders.entrypoints.http.middleware import TransferBroken
from tests.unit.http.access.access_harness import (
    SECRET,
    bearer,
    client_from,
    new_key,
    protected,
    write,
)
from tests.unit.http.access.access_harness import app as app_of
from tests.unit.http.access.test_sessions import log_in
from tests.unit.http.access.test_tokens import JWKS, settings, token
from tests.unit.http.harness import Api, order, problem
from tests.unit.http.test_order_events import Stream, store

ENDED = "the key or token is not valid any more"


@pytest.fixture
def end(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets every key, token and session expire."""

    def expired(*_: object, **__: object) -> None:
        raise jwt.ExpiredSignatureError

    def advance() -> None:
        monkeypatch.setattr(jwt, "decode", expired)  # it has a clock of its own
        later = time.time() + 100_000
        for module in (keys, sessions, tokens):
            monkeypatch.setattr(module, "time", lambda: later)

    return advance


@pytest.fixture(params=["key", "session", "token"])
async def let_in(request: pytest.FixtureRequest, path: Path) -> tuple[Api, dict[str, str]]:
    """An API, and headers with which it lets a request in."""
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    _, key = new_key(path, "orders:read", "orders:write", expires=in_an_hour)
    if request.param == "token":
        write(path, json.dumps(JWKS))
        return Api(settings=settings(path)), bearer(token(scope="orders:read orders:write"))
    api = Api(settings=protected(path, http_session_secret=SECRET))
    if request.param == "key":
        return api, bearer(key)
    async with client_from(app_of(api.settings, api)) as client:
        done = await log_in(client, key)
    return api, {"Cookie": done.headers["set-cookie"].partition(";")[0]}


class Interrupted(ListOrders):
    """Gives three chunks, and calls ``between`` after the second."""

    def __init__(self, between: Callable[[], None]) -> None:
        self._between = between

    async def stream(
        self, query: OrderQuery, *, client: str = ""
    ) -> AsyncIterator[tuple[StoredOrder, ...]]:
        for uid in ("o1", "o2"):
            yield (StoredOrder.of(order(uid)),)
        self._between()
        yield (StoredOrder.of(order("o3")),)


async def listed(let_in: tuple[Api, dict[str, str]], between: Callable[[], None]) -> bytes:
    """The body of a list, as far as it is sent."""
    api, headers = let_in
    body = b""

    async def send(message: dict[str, Any]) -> None:
        nonlocal body
        body += message.get("body", b"")

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/orders",
        "raw_path": b"/orders",
        "query_string": b"",
        "headers": [(n.lower().encode(), v.encode()) for n, v in headers.items()],
    }
    scope["headers"] = [(b"host", b"test"), *scope["headers"]]
    app = api.app(list_orders=Interrupted(between))
    with structlog.testing.capture_logs() as lines:
        try:
            await app(scope, asyncio.Event().wait, send)
        except TransferBroken:
            assert [line["broken_off"] for line in lines if "broken_off" in line] == [ENDED]
            assert not body.endswith(b"]")
    return body


async def test_a_list_ends_with_what_let_it_in(
    let_in: tuple[Api, dict[str, str]], end: Callable[[], None]
) -> None:
    assert (await listed(let_in, lambda: None)).count(b'"order_uid":') == 3
    assert (await listed(let_in, end)).count(b'"order_uid":') == 2


@pytest.mark.parametrize("is_fast", [True, False])
async def test_events_end_with_what_let_them_in(
    let_in: tuple[Api, dict[str, str]], end: Callable[[], None], *, is_fast: bool
) -> None:
    api, headers = let_in
    raw = {name.lower().encode(): value.encode() for name, value in headers.items()}
    stream = Stream(api, b"", raw, "GET")
    stream.is_fast = is_fast
    await stream.next()
    await stream.next()
    await store(api, "a")
    assert len(stream.written) == 1
    if not is_fast:
        await stream.next()
    end()
    await store(api, "b")
    with pytest.raises(TransferBroken):
        async with asyncio.timeout(10):
            await stream.running
    assert len(stream.written) == 1


async def test_orders_that_arrive_later_are_not_sent(
    let_in: tuple[Api, dict[str, str]], end: Callable[[], None]
) -> None:
    api, headers = let_in

    async def slow() -> AsyncIterator[bytes]:
        document = encode(order("late"))
        yield document[:10]
        end()
        yield document[10:]

    headers = {**headers, "Sec-Fetch-Site": "same-origin"}
    async with client_from(app_of(api.settings, api)) as client:
        sent = await client.post("/orders", content=encode(order("now")), headers=headers)
        assert sent.status_code == 202
        problem(await client.post("/orders", content=slow(), headers=headers), 401, "unauthorized")
    assert [message.key for message in api.sent] == [b"now"]
