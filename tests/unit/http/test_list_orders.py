"""GET /orders: pages, filters, streams and their forms."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import httpx
import pytest

from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.errors import Overloaded, Unavailable
from orders.domain.order.document import StoredOrder, encode
from orders.domain.order.queries import Cursor, OrderQuery, Page
from orders.domain.order.tombstones import RecentTombstones
from orders.domain.use_cases.list_orders import CHUNK, ListOrders
from orders.entrypoints.http.middleware import TransferBroken
from orders.entrypoints.http.orders import list_request
from orders.entrypoints.http.problems import HTTPProblem
from tests.unit.http.harness import Api, order, problem, series

NDJSON = {"Accept": "application/x-ndjson"}


def uids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [found["order_uid"] for found in answer.json()]


def faults(answer: httpx.Response) -> dict[str, str]:
    found = problem(answer, 400, "invalid-request")
    return {error["parameter"]: error["detail"] for error in found["errors"]}


async def test_all_orders_newest_first(api: Api, client: httpx.AsyncClient) -> None:
    orders = series(3)
    await api.store(*orders)
    answer = await client.get("/orders")
    assert answer.content == b"[" + b",".join(encode(o) for o in reversed(orders)) + b"]"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["vary"] == "accept"
    assert "content-length" not in answer.headers


async def test_no_orders(client: httpx.AsyncClient) -> None:
    assert (await client.get("/orders")).content == b"[]"
    assert (await client.get("/orders?limit=5")).content == b"[]"
    assert (await client.get("/orders", headers=NDJSON)).content == b""
    assert (await client.get("/orders?limit=5", headers=NDJSON)).content == b""


@pytest.mark.parametrize("amount", [1, CHUNK, CHUNK + 1, 2 * CHUNK + 3])
async def test_streams_join_their_chunks(api: Api, client: httpx.AsyncClient, amount: int) -> None:
    await api.store(*series(amount))
    expected = [f"o{i}" for i in reversed(range(amount))]
    assert uids(await client.get("/orders")) == expected
    lines = await client.get("/orders", headers=NDJSON)
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert lines.content.endswith(b"\n")
    assert [json.loads(line)["order_uid"] for line in lines.content.splitlines()] == expected


async def test_pages_lead_to_the_next_and_keep_their_filters(
    api: Api, client: httpx.AsyncClient
) -> None:
    await api.store(
        *series(25), order("stranger", customer_id="x", date_created=series(1)[0].date_created)
    )
    url: str | None = "/orders?customer_id=test&limit=10"
    pages: list[list[str]] = []
    while url:
        answer = await client.get(url)
        assert answer.headers["content-length"] == str(len(answer.content))
        pages.append(uids(answer))
        url = answer.links.get("next", {}).get("url")
        if len(pages) == 1:  # what comes meanwhile moves no page
            await api.store(order("newer", date_created=datetime(2022, 1, 1, tzinfo=UTC)))
    assert [len(page) for page in pages] == [10, 10, 5]
    assert list(chain.from_iterable(pages)) == [f"o{i}" for i in reversed(range(25))]


async def test_a_page_of_lines(api: Api, client: httpx.AsyncClient) -> None:
    await api.store(*series(3))
    answer = await client.get("/orders?limit=2", headers=NDJSON)
    assert [json.loads(line)["order_uid"] for line in answer.content.splitlines()] == ["o2", "o1"]
    assert answer.content.count(b"\n") == 2
    assert "next" in answer.links


async def test_a_cursor_alone_gives_pages(api: Api, client: httpx.AsyncClient) -> None:
    await api.store(*series(130))
    link = (await client.get("/orders?limit=1")).links["next"]["url"]
    cursor = httpx.URL(link).params["cursor"]
    answer = await client.get("/orders", params={"cursor": cursor})
    assert uids(answer)[0] == "o128"
    assert len(answer.json()) == 100
    assert "limit" not in httpx.URL(answer.links["next"]["url"]).params


async def test_filters(api: Api, client: httpx.AsyncClient) -> None:
    odd = "a&b=c ü+%/😀"
    await api.store(*series(3), order(".", track_number="t"), order(odd, customer_id=odd))
    for params, expected in [
        ({"order_uid": "o1"}, ["o1"]),
        ({"order_uid": "."}, ["."]),
        ({"track_number": "t"}, ["."]),
        ({"customer_id": odd, "order_uid": odd}, [odd]),
        ({"customer_id": odd, "order_uid": "o1"}, []),
        ({"order_uid": ""}, []),
        ({"customer_id": " "}, []),
    ]:
        assert uids(await client.get("/orders", params=params)) == expected
        assert uids(await client.get("/orders", params={**params, "limit": "9"})) == expected


async def test_summaries(api: Api, client: httpx.AsyncClient) -> None:
    await api.store(*series(3))
    url = "/orders?view=summary&limit=2"
    page = await client.get(url)
    assert page.json()[0] == {
        "order_uid": "o2",
        "track_number": "WBILMTESTTRACK",
        "customer_id": "test",
        "date_created": "2021-01-01T00:02:00Z",
        "amount": 1817,
        "currency": "USD",
        "item_count": 1,
    }
    assert page.headers["cache-control"] == "no-store"
    assert uids(page) == ["o2", "o1"]
    rest = await client.get(page.links["next"]["url"])
    assert [*rest.json()[0]] == [*page.json()[0]]
    streamed = await client.get("/orders?view=summary", headers=NDJSON)
    assert [json.loads(line) for line in streamed.content.splitlines()] == page.json() + rest.json()
    assert (await client.get("/orders?view=full")).content == (await client.get("/orders")).content
    for view in ("", "Summary", "short"):
        answer = await client.get("/orders", params={"view": view})
        assert faults(answer) == {"view": "must be full or summary"}


async def test_the_span_of_time(api: Api, client: httpx.AsyncClient) -> None:
    await api.store(*series(4))  # at 00:00 to 00:03
    for query, expected in [
        ("created_from=2021-01-01T00:02:00Z", ["o3", "o2"]),
        ("created_to=2021-01-01T00:02:00Z", ["o1", "o0"]),
        ("created_from=2021-01-01T03:01:00%2B03:00&created_to=2021-01-01T00:02:00Z", ["o1"]),
        ("created_from=2021-01-01T03:01:00+03:00&created_to=2021-01-01T00:02:00Z", ["o1"]),
        ("created_from=2020-12-31T20:01:00-04:00&created_to=2021-01-01T00:02:00Z", ["o1"]),
        ("created_from=2021-01-01T00:02:00Z&created_to=2021-01-01T00:02:00Z", []),
        (
            "created_from=0001-01-01T00:00:00Z&created_to=9999-12-31T23:59:59Z",
            ["o3", "o2", "o1", "o0"],
        ),
    ]:
        assert uids(await client.get("/orders?" + query)) == expected


@pytest.mark.parametrize(
    "value",
    ["0", "1001", "-1", "+5", "007", "1.0", "1e2", "", "x", "%D9%A5", "5%0A", "%205", "9" * 5000],
)
async def test_limits_that_are_none(client: httpx.AsyncClient, value: str) -> None:
    assert faults(await client.get(f"/orders?limit={value}")) == {
        "limit": "must be a number from 1 to 1000"
    }


@pytest.mark.parametrize("value", ["1", "1000"])
async def test_limits_at_the_edge(client: httpx.AsyncClient, value: str) -> None:
    assert (await client.get(f"/orders?limit={value}")).status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        "2021-01-01",
        "2021-01-01T00:00:00",
        "2021-01-01T00:00:00 ",
        "yesterday",
        "",
        "1609459200",
        "0001-01-01T00:00:00%2B01:00",
        "9999-12-31T23:59:59-01:00",
    ],
)
@pytest.mark.parametrize("name", ["created_from", "created_to"])
async def test_instants_that_are_none(client: httpx.AsyncClient, name: str, value: str) -> None:
    found = faults(await client.get(f"/orders?{name}={value}"))
    assert found == {name: "must be RFC 3339 with an offset, in the years 1 to 9999"}


def test_a_very_long_instant_is_refused_at_once() -> None:
    with pytest.raises(HTTPProblem):  # it would take minutes
        list_request.parse(b"created_from=" + b":" * 100_000 + b"+" * 100_000)


async def test_every_fault_is_named_and_misspelt_filters_are_faults(
    client: httpx.AsyncClient,
) -> None:
    query = (
        "limit=0&custmer_id=x&cursor=%21&created_to=x&track_number=a&track_number=b&order_uid=%00"
    )
    assert faults(await client.get("/orders?" + query)) == {
        "limit": "must be a number from 1 to 1000",
        "custmer_id": "is not known here",
        "cursor": "must be a cursor from a Link header",
        "created_to": "must be RFC 3339 with an offset, in the years 1 to 9999",
        "track_number": "is given more than once",
        "order_uid": "must not hold U+0000",
    }


async def test_queries_that_cannot_be_read(client: httpx.AsyncClient) -> None:
    problem(await client.get("/orders?order_uid=%FF"), 400, "invalid-request")
    problem(
        await client.get("/orders?" + "&".join("a=1" for _ in range(99))), 400, "invalid-request"
    )


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "application/json"),
        ("", "application/json"),
        ("application/*", "application/json"),
        ("APPLICATION/X-NDJSON", "application/x-ndjson"),
        ("application/x-ndjson, application/json", "application/json"),
        ("application/json;q=0.5, application/x-ndjson;q=0.9", "application/x-ndjson"),
        ("application/json; q=0, */*", "application/x-ndjson"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("application/x-ndjson; q=0.1; x=y, text/html", "application/x-ndjson"),
    ],
)
async def test_the_form_that_the_client_likes_best(
    client: httpx.AsyncClient, accept: str, expected: str
) -> None:
    answer = await client.get("/orders", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, expected)


@pytest.mark.parametrize("accept", ["text/csv", "application/json;q=0", "*/*;q=0", "image/*"])
async def test_no_form_will_do(client: httpx.AsyncClient, accept: str) -> None:
    answer = await client.get("/orders", headers={"Accept": accept})
    assert "application/x-ndjson" in problem(answer, 406, "not-acceptable")["detail"]


async def test_head(api: Api, client: httpx.AsyncClient) -> None:
    await api.store(*series(3))
    for url in ("/orders", "/orders?limit=2"):
        head, get = await client.head(url), await client.get(url)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
        assert head.headers.get("link") == get.headers.get("link")
        assert head.headers.get("content-length") == get.headers.get("content-length")


class Stuttering(ListOrders):
    """Gives some chunks, then fails; counts what it was asked for."""

    def __init__(self, chunks: int, error: Exception | None) -> None:
        self.chunks, self.error, self.given = chunks, error, 0

    async def page(self, *_: Any, **__: Any) -> Page:
        raise self.error or AssertionError

    async def stream(
        self, query: OrderQuery, *, client: str = ""
    ) -> AsyncIterator[tuple[StoredOrder, ...]]:
        for _ in range(self.chunks):
            self.given += 1
            yield (StoredOrder.of(order(f"o{self.given}")),)
        if self.error:
            raise self.error


@pytest.mark.parametrize("url", ["/orders", "/orders?limit=5"])
@pytest.mark.parametrize("error", [Unavailable("the database is down"), Overloaded("too many")])
async def test_failure_before_the_first_chunk_has_a_status(
    api: Api, url: str, error: Unavailable
) -> None:
    async with api.client(list_orders=Stuttering(0, error)) as client:
        for headers in ({}, NDJSON):
            answer = await client.get(url, headers=headers)
            problem(answer, 503, error.code)
            assert "retry-after" in answer.headers


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize("error", [Unavailable("away"), RuntimeError("bug")])
async def test_failure_under_way_leaves_the_transfer_unfinished(
    api: Api, accept: str, error: Exception
) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    app = api.app(list_orders=Stuttering(2, error))
    with pytest.raises(TransferBroken) as raised:
        await app(list_scope(accept), asyncio.Event().wait, send)
    assert not str(raised.value)
    assert sent[0]["status"] == 200
    assert all(message["more_body"] for message in sent[1:])
    assert b"".join(message["body"] for message in sent[1:]).count(b'"order_uid":') == 2


async def test_a_client_that_goes_ends_the_stream(api: Api) -> None:
    endless = Stuttering(10_000, None)
    gone = asyncio.Event()
    bodies = 0

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal bodies
        bodies += message["type"] == "http.response.body"
        if bodies == 3:
            gone.set()
        await asyncio.sleep(0)

    await api.app(list_orders=endless)(list_scope("*/*"), receive, send)
    assert endless.given < 10
    assert len(asyncio.all_tasks()) == 1  # nobody goes on listening


class LargePages(MemoryOrderRepository):
    """Pages of a megabyte each, without an end."""

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        when = order().date_created
        return Page((StoredOrder("big", when, bytes(1_000_000)),), Cursor(when, "big"))


@pytest.mark.parametrize("chunks", [1, 3])
async def test_a_list_that_waits_for_its_client_is_not_in_memory(api: Api, chunks: int) -> None:
    sizes: list[int] = []
    waits = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        sizes.append(len(message.get("body", b"")))
        if len([size for size in sizes if size > 1]) == chunks and not sizes[-1]:
            waits.set()
            await asyncio.Event().wait()

    app = api.app(list_orders=ListOrders(LargePages(), RecentTombstones()))
    tracemalloc.start()
    try:
        task = asyncio.create_task(app(list_scope("*/*"), asyncio.Event().wait, send))
        await waits.wait()
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Stuck:
    """A client that is there and takes nothing more."""

    def __init__(self, after: int) -> None:
        self.after, self.sent = after, list[dict[str, Any]]()

    async def send(self, message: dict[str, Any]) -> None:
        if len(self.sent) > self.after:
            await asyncio.Event().wait()
        self.sent.append(message)


async def test_a_stream_reads_no_further_than_its_reader(api: Api) -> None:
    chunks, client = Stuttering(10_000, None), Stuck(3)
    task = asyncio.create_task(
        api.app(list_orders=chunks)(list_scope("*/*"), asyncio.Event().wait, client.send)
    )
    for _ in range(50):
        await asyncio.sleep(0)
    assert chunks.given == 2
    task.cancel()
    await asyncio.wait([task])
    assert len(asyncio.all_tasks()) == 1


def list_scope(accept: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": "/orders",
        "raw_path": b"/orders",
        "query_string": b"",
        "headers": [(b"host", b"test"), (b"accept", accept.encode())],
    }
