"""Both clients, on a transport in place of the network."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orders.client import (
    APIError,
    AsyncOrdersClient,
    Fault,
    Forbidden,
    InvalidOrders,
    NotFound,
    NotStored,
    OrderEvent,
    OrdersClient,
    RateLimited,
    RequestRefused,
    ServerError,
    Unauthorized,
    Unavailable,
)
from orders.domain.order.document import encode
from tests.unit.http.harness import order, series

Handler = Callable[[httpx.Request], httpx.Response]
SECRET = "orders_key_secret"
STREAM = {"content-type": "text/event-stream; charset=utf-8"}


class Blocking:
    """An ``AsyncOrdersClient`` that is called like an ``OrdersClient``."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncOrdersClient(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            made = method(*arguments, **options)
            if not isinstance(made, AsyncIterator):
                return self._runner.run(made)
            return iter(lambda: self._runner.run(_next(made)), None)

        return call

    def __repr__(self) -> str:
        return repr(self._client)


async def _next(found: AsyncIterator[Any]) -> Any:
    return await anext(found, None)


@pytest.fixture(params=[OrdersClient, Blocking], ids=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes a client of a handler of requests."""

    def made(handler: Handler, **options: Any) -> Any:
        return request.param("http://test", transport=httpx.MockTransport(handler), **options)

    return made


@pytest.fixture(autouse=True)
def pauses() -> Iterator[list[float]]:
    """The pauses that were made, which take no time."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    with (
        patch("orders.client.clients.time.sleep", made.append),
        patch("orders.client.clients.asyncio.sleep", sleep),
    ):
        yield made


def problem(status: int, code: str, headers: Any = None, **more: Any) -> httpx.Response:
    body = {"title": "T", "status": status, "detail": "D", "code": code, "request_id": "r1"}
    return httpx.Response(status, json=body | more, headers=headers)


def found(one: Any, tag: str = '"t"') -> httpx.Response:
    return httpx.Response(200, content=encode(one), headers={"etag": tag})


def test_an_order_is_read_once_and_confirmed_by_its_tag(connect: Any) -> None:
    asked: list[Any] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("if-none-match"))
        return httpx.Response(304) if asked[-1] else found(order("a b"))

    client = connect(handler)
    first = client.get("a b")
    assert first == order("a b")
    assert client.get("a b") is first
    assert asked == [None, '"t"']


def test_no_more_orders_are_kept_than_there_is_room_for(connect: Any) -> None:
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.path, "if-none-match" in request.headers))
        return found(order(request.url.path.rpartition("/")[2]))

    client = connect(handler, cache_size=2)
    for uid in ("a", "b", "a", "c", "b", "a"):
        client.get(uid)
    assert [known for _, known in asked] == [False, False, True, False, False, False]


_characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


@given(st.text(_characters, max_size=255).filter(str.strip))
@example(".")
@example("..")
@example("events")
def test_any_uid_arrives_as_it_is(uid: str) -> None:
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.path == "/orders":
            return httpx.Response(200, content=b"[" + encode(order(uid)) + b"]")
        return found(order(uid))

    client = OrdersClient("http://test", transport=httpx.MockTransport(handler))
    assert client.get(uid).order_uid == uid
    raw = seen[0].url.raw_path
    if uid in {".", "..", "events"}:
        assert seen[0].url.params["order_uid"] == uid
    else:
        assert raw.count(b"/") == 2
        assert httpx.URL("http://test" + raw.decode()).path == f"/orders/{uid}"


@pytest.mark.parametrize("uid", [".", "..", "events"])
def test_an_order_without_a_path_of_its_own(connect: Any, uid: str) -> None:
    pages = [b"[]", b"[]", b"[" + encode(order(uid)) + b"]"]

    def handler(request: httpx.Request) -> httpx.Response:
        assert (request.url.path, request.url.params["order_uid"]) == ("/orders", uid)
        return httpx.Response(200, content=pages.pop(0))

    client = connect(handler)
    with pytest.raises(NotFound):
        client.get(uid)
    assert client.wait_until_stored(uid).order_uid == uid
    with pytest.raises(ValueError, match="orders forget"):
        client.forget(uid)


def test_a_list_goes_from_page_to_page(connect: Any) -> None:
    orders = series(5)
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        start = int(request.url.params.get("cursor", 0))
        page = b"[" + b",".join(map(encode, orders[start : start + 2])) + b"]"
        more = {"link": f'</orders?limit=2&cursor={start + 2}>; rel="next"'}
        return httpx.Response(200, content=page, headers=more if start < 4 else {})

    since = datetime(2021, 1, 1, tzinfo=UTC)
    listed = connect(handler).list(customer_id="c&1", created_from=since, page_size=2)
    assert list(listed) == orders
    assert asked[0] == {
        "customer_id": "c&1", "created_from": "2021-01-01T00:00:00+00:00", "limit": "2"
    }  # fmt: skip
    assert [one.get("cursor") for one in asked] == [None, "2", "4"]


def test_a_time_without_a_zone_is_refused(connect: Any) -> None:
    with pytest.raises(ValueError, match="created_to needs a time zone"):
        list(connect(lambda _: problem(500, "x")).list(created_to=datetime(2021, 1, 1)))  # noqa: DTZ001


class Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in chunks, after which the connection breaks if ``error`` is set."""

    def __init__(self, *chunks: bytes, error: Exception | None = None) -> None:
        self._chunks, self._error = chunks, error
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk

    def close(self) -> None:
        self.is_closed = True

    async def aclose(self) -> None:
        self.is_closed = True


def event(kind: str, number: int, data: Any) -> bytes:
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def test_events_come_as_they_happen_and_are_resumed(connect: Any, pauses: list[float]) -> None:
    summary = {
        "order_uid": "a\u2028b", "track_number": "t", "customer_id": "c", "amount": None,
        "currency": None, "item_count": 2, "date_created": "2021-11-26T06:22:19Z",
    }  # fmt: skip
    stored = event("stored", 2, summary)
    streams = [
        Chunks(b"retry: 1000\nid: 1\n\n:\n\n", error=httpx.ReadError("broken")),
        Chunks(stored[:9], stored[9:], event("later", 3, {}), event("stored", 9, {})[:-3]),
        Chunks(event("forgotten", 4, {"order_uid": "z"}) + b"event: reset\ndata: {}\nid: 5\n\n"),
    ]
    answers = [httpx.Response(200, stream=stream, headers=STREAM) for stream in streams]
    answers[1:1] = [problem(503, "unavailable", {"retry-after": "7"})]
    answers.append(problem(403, "forbidden"))
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params.get("last_event_id"))
        assert (request.url.path, request.extensions["timeout"]["read"]) == ("/orders/events", 45)
        return answers.pop(0)

    events = connect(handler).events("0")
    one, two, three = next(events), next(events), next(events)
    moment = datetime(2021, 11, 26, 6, 22, 19, tzinfo=UTC)
    assert one == OrderEvent("stored", "2", "a\u2028b", "t", "c", moment, item_count=2)
    assert two == OrderEvent("forgotten", "4", "z")
    assert three == OrderEvent("reset", "5")
    with pytest.raises(Forbidden):
        next(events)
    assert asked == ["0", "1", "1", "3", "5"]
    assert pauses == [1, 7, 1, 1]
    assert all(stream.is_closed for stream in streams)


def test_events_that_cannot_be_read_are_an_error_of_ours(connect: Any) -> None:
    for body, headers in (
        (b"event: stored\ndata: {\n\n", STREAM),
        (b"no gzip", STREAM | {"content-encoding": "gzip"}),
        (b"<html>", {"content-type": "text/html"}),
    ):
        stream = Chunks(body)
        answer = httpx.Response(200, stream=stream, headers=headers)
        with pytest.raises(ServerError, match="not one of this API"):
            next(connect(lambda _, answer=answer: answer).events())
        assert stream.is_closed


def test_what_is_published_arrives_as_it_is(connect: Any) -> None:
    bodies = []

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append((json.loads(request.content), request.headers.get("x-request-id")))
        return httpx.Response(202, json={"order_uids": ["a"]})

    client = connect(handler)
    one = order("a")
    assert client.publish(one) == ("a",)
    client.publish([one, {"order_uid": "b"}], request_id="mine")
    assert bodies == [
        (json.loads(encode(one)), None),
        ([json.loads(encode(one)), {"order_uid": "b"}], "mine"),
    ]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid-request", RequestRefused),
        (401, "unauthorized", Unauthorized),
        (403, "forbidden", Forbidden),
        (404, "not-found", NotFound),
        (413, "too-large", RequestRefused),
        (422, "invalid", InvalidOrders),
        (429, "rate-limited", RateLimited),
        (500, "internal", ServerError),
        (503, "unavailable", Unavailable),
    ],
)
def test_a_problem_is_an_exception(connect: Any, status: int, code: str, kind: type) -> None:
    client = connect(lambda _: problem(status, code), key=SECRET)
    with pytest.raises(APIError) as raised:
        client.get("a")
    error = raised.value
    assert type(error) is kind
    assert (error.status, error.code, error.detail, error.request_id) == (status, code, "D", "r1")
    assert str(error) == f"D ({code}, request r1)"
    assert SECRET not in repr(client) + repr(error)


def test_every_fault_is_told(connect: Any) -> None:
    errors = [
        {"detail": "must not be empty", "pointer": "/order_uid"},
        {"detail": "is not known here", "parameter": "p"},
    ]
    client = connect(lambda _: problem(422, "invalid", errors=errors))
    with pytest.raises(InvalidOrders) as raised:
        client.publish({})
    assert raised.value.faults == (
        Fault("must not be empty", "/order_uid"),
        Fault("is not known here", parameter="p"),
    )
    assert str(raised.value).endswith("; /order_uid: must not be empty; p: is not known here")


def test_a_wrong_address_is_not_taken_for_a_missing_order(connect: Any) -> None:
    for answer in (problem(404, "unknown-path"), httpx.Response(404, content=b"nginx")):
        with pytest.raises(RequestRefused) as raised:
            connect(lambda _, answer=answer: answer).wait_until_stored("a")
        assert not isinstance(raised.value, NotFound)


def test_a_key_goes_to_no_other_host(connect: Any) -> None:
    hosts = []

    def handler(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        more = {"link": '<http://elsewhere/orders?cursor=1>; rel="next"'}
        return httpx.Response(200, content=b"[]", headers=more if len(hosts) < 3 else {})

    assert list(connect(handler, key=SECRET).list()) == []
    assert hosts == ["test"] * 3


def test_a_key_that_cannot_be_sent_is_not_shown(connect: Any) -> None:
    with pytest.raises(ValueError, match="characters") as raised:
        connect(lambda _: problem(500, ""), key="s\u00e9cret\n")
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Bad gateway</html>",
        b"",
        b"[]",
        b"{}",
        b'{"code": 1}',
        b'{"code": "\xff"}',
        b'{"x": ' + b"[" * 9_999,
    ],
)
def test_what_is_no_problem_of_ours_is_an_error_all_the_same(connect: Any, body: bytes) -> None:
    with pytest.raises(ServerError, match="the response has status 502"):
        connect(lambda _: httpx.Response(502, content=body)).get("a")
    with pytest.raises(ServerError, match="not one of this API"):
        connect(lambda _: httpx.Response(200, content=body)).get("a")
    with pytest.raises(ServerError, match="not one of this API"):
        connect(lambda _: httpx.Response(202, content=body)).publish({})


def test_a_body_that_cannot_be_unpacked_is_an_error_of_ours(
    connect: Any, pauses: list[float]
) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Chunks(b"no gzip"))

    client = connect(handler)
    with pytest.raises(ServerError, match="not one of this API") as raised:
        client.get("a")
    assert (raised.value.code, pauses) == ("unexpected", [])
    assert client.is_ready() is False


@pytest.mark.parametrize("headers", [{"retry-after": b"\xb2"}, {"link": "<http://a:b/>; rel=next"}])
def test_a_header_that_is_not_one_of_ours_is_no_error(connect: Any, headers: Any) -> None:
    answers = [problem(503, "x", headers), httpx.Response(200, content=b"[]", headers=headers)]
    answers.append(httpx.Response(200, content=b"[]"))
    assert list(connect(lambda _: answers.pop(0)).list()) == []


@pytest.mark.parametrize("status", [503, 429])
def test_what_may_help_is_repeated_when_the_api_says(
    connect: Any, pauses: list[float], status: int
) -> None:
    answers: list[httpx.Response | Exception] = [
        problem(status, "x", {"retry-after": "7"}),
        httpx.ConnectError("no"),
        problem(503, ""),
    ]

    def handler(request: httpx.Request) -> httpx.Response:
        assert json.loads(request.content) == {"order_uid": "a"}
        done = httpx.Response(202, json={"order_uids": ["a"]})
        answer = answers.pop(0) if answers else done
        if isinstance(answer, httpx.Response):
            return answer
        raise answer

    assert connect(handler).publish({"order_uid": "a"}) == ("a",)
    assert pauses[0] == 7
    assert 0.2 <= pauses[1] <= 0.4
    assert 0.4 <= pauses[2] <= 0.8


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_what_would_not_help_is_not_repeated(
    connect: Any, pauses: list[float], status: int
) -> None:
    with pytest.raises(APIError):
        connect(lambda _: problem(status, "x")).publish({})
    assert pauses == []


def test_it_gives_up_in_the_end(connect: Any, pauses: list[float]) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow")

    with pytest.raises(Unavailable, match=r"cannot be reached: ReadTimeout \(unreachable\)"):
        connect(handler, attempts=3).get("a")
    assert len(pauses) == 2


def test_random_orders_are_asked_for_once(connect: Any, pauses: list[float]) -> None:
    with pytest.raises(Unavailable):
        connect(lambda _: problem(503, "unavailable")).random(3)
    assert pauses == []


def test_waiting_ends_with_the_order_or_in_time(connect: Any, pauses: list[float]) -> None:
    answers = [problem(404, "not-found")] * 3 + [found(order("a"))]
    client = connect(lambda _: answers.pop(0))
    assert client.wait_until_stored("a").order_uid == "a"
    assert pauses == [0.02, 0.04, 0.08]
    began = time.monotonic()
    with pytest.raises(NotStored, match=re.escape("not stored within 0.05 s")) as raised:
        connect(lambda _: problem(404, "not-found")).wait_until_stored("a", timeout=0.05)
    assert raised.value.code == "not-stored"
    assert time.monotonic() - began >= 0.05


def test_what_is_forgotten_is_not_kept(connect: Any) -> None:
    known = []

    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            return httpx.Response(204)
        known.append("if-none-match" in request.headers)
        return found(order("a"))

    client = connect(handler)
    client.get("a")
    client.forget("a")
    client.get("a")
    assert known == [False, False]
    with pytest.raises(ValueError, match="orders forget"):
        client.forget("..")


def test_whether_it_is_ready(connect: Any) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    assert connect(lambda _: httpx.Response(200, json={})).is_ready()
    assert not connect(lambda _: httpx.Response(503, json={})).is_ready()
    assert not connect(refuse).is_ready()


def test_it_loads_nothing_of_the_service() -> None:
    code = (
        "import sys; before = set(sys.modules); import orders.client; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"httpx", "msgspec", "orders"} <= set(loaded)
    assert not {"litestar", "psycopg", "kafka", "redis", "uvicorn", "structlog"} & set(loaded)


def test_without_httpx_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['httpx'] = None; import orders.client"
    failed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "ImportError: orders.client needs httpx: pip install 'orders[client]'" in failed.stderr
