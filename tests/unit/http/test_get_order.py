"""GET and HEAD of one order, whether this process has it cached or has to look it up."""

import hashlib
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.domain.order.document import encode
from tests.strategies import characters
from tests.unit.http.harness import Api, order, problem


@pytest.fixture(params=[True, False], ids=["cached", "looked up"])
def api(request: pytest.FixtureRequest) -> Api:
    return Api(is_cached=request.param)


async def test_the_stored_bytes_come_out(api: Api, client: httpx.AsyncClient) -> None:
    await api.store(order())
    answer = await client.get("/orders/uid")
    document = encode(order())
    assert answer.status_code == 200
    assert answer.content == document
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(document))
    digest = hashlib.blake2b(document, digest_size=16).hexdigest()
    assert answer.headers["etag"] == f'"{digest}"'
    assert "private" in answer.headers["cache-control"]


async def test_head_tells_the_headers_of_get(api: Api, client: httpx.AsyncClient) -> None:
    await api.store(order())
    head, get = await client.head("/orders/uid"), await client.get("/orders/uid")
    assert head.status_code == 200
    assert head.content == b""
    for name in ("content-type", "content-length", "etag", "cache-control"):
        assert head.headers[name] == get.headers[name]


async def test_there_is_no_such_order(api: Api, client: httpx.AsyncClient) -> None:
    answer = await client.get("/orders/uid")
    problem(answer, 404, "not-found")
    assert answer.headers["cache-control"] == "no-store"  # it may come later
    head = await client.head("/orders/uid")
    assert (head.status_code, head.content) == (404, b"")
    assert head.headers["content-type"] == "application/problem+json"
    problem(await client.get("/orders/%00"), 404, "not-found")


async def test_an_order_uid_may_have_255_of_the_longest_characters(
    api: Api, client: httpx.AsyncClient
) -> None:
    longest = "\N{GRINNING FACE}" * 255
    await api.store(order(longest))
    assert (await client.get("/orders/" + quote(longest))).status_code == 200
    answer = await client.get("/orders/" + quote(longest) + "x", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert quote(longest) not in answer.text
    found = problem(await client.get("/orders/" + quote(longest) + "x"), 404, "not-found")
    assert "255 characters" in found["detail"]


async def test_the_client_has_it(api: Api, client: httpx.AsyncClient) -> None:
    await api.store(order())
    tag = (await client.get("/orders/uid")).headers["etag"]
    for known in (tag, f"W/{tag}", "*", f'"other", {tag}', f'W/"a,b",{tag}'):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, "/orders/uid", headers={"If-None-Match": known})
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == tag
            assert "content-length" not in answer.headers
    two_lines = httpx.Headers([("If-None-Match", '"x"'), ("If-None-Match", tag)])
    assert (await client.get("/orders/uid", headers=two_lines)).status_code == 304


async def test_the_client_has_something_else(api: Api, client: httpx.AsyncClient) -> None:
    await api.store(order())
    tag = (await client.get("/orders/uid")).headers["etag"]
    for known in ('"other"', "", tag.strip('"'), '"*"', tag[:-1]):
        answer = await client.get("/orders/uid", headers={"If-None-Match": known})
        assert answer.status_code == 200
    missing = await client.get("/orders/none", headers={"If-None-Match": "*"})
    problem(missing, 404, "not-found")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "TRACE"])
async def test_other_methods(api: Api, client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/orders/uid")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"


async def test_options(api: Api, client: httpx.AsyncClient) -> None:
    answer = await client.options("/orders/uid")
    assert answer.status_code == 204
    assert sorted(answer.headers["allow"].split(", ")) == ["DELETE", "GET", "HEAD", "OPTIONS"]


async def test_the_store_is_away(api: Api, client: httpx.AsyncClient) -> None:
    await api.store(order("held"))
    api.repository.available = False
    answer = await client.get("/orders/uid")
    problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    if api.is_cached:
        assert (await client.get("/orders/held")).content == encode(order("held"))


async def test_what_is_cached_is_answered_without_the_store() -> None:
    for is_cached in (True, False):
        api = Api(is_cached=is_cached)
        await api.store(order())
        api.repository.available = False
        async with api.client() as client:
            answered = (await client.get("/orders/uid")).status_code
        assert answered == (200 if is_cached else 503)


@pytest.mark.parametrize("given_id", [{}, {"X-Request-ID": "mine"}])
async def test_a_cached_order_is_answered_as_one_that_was_looked_up(
    given_id: dict[str, str],
) -> None:
    answers = []
    for is_cached in (True, False):
        api = Api(is_cached=is_cached)
        await api.store(order())
        async with api.client() as client:
            answers.append(masked(await client.get("/orders/uid", headers=given_id)))
    assert answers[0] == answers[1]


def masked(answer: httpx.Response) -> tuple[str, list[tuple[str, str]]]:
    """Body and headers, with the id of the request left out."""
    made = answer.headers["x-request-id"]
    assert len(made) in {len("mine"), 32}
    headers = [(name, value.replace(made, "-")) for name, value in answer.headers.multi_items()]
    return answer.text.replace(made, "-"), headers


def headers_but(answer: httpx.Response, *names: str) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in names}


async def test_errors_have_the_headers_that_errors_of_other_routes_have(
    api: Api, client: httpx.AsyncClient
) -> None:
    own = ("content-length", "x-request-id")
    missing, elsewhere = await client.get("/orders/none"), await client.get("/nothing")
    assert headers_but(missing, *own) == headers_but(elsewhere, *own)
    api.repository.available = False
    down, elsewhere = await client.get("/orders/none"), await client.get("/orders?limit=1")
    assert down.status_code == elsewhere.status_code == 503
    assert headers_but(down, *own) == headers_but(elsewhere, *own)
    assert "retry-after" in down.headers
    head = await client.head("/orders/none")
    assert head.content == b""
    assert headers_but(head, *own) == headers_but(down, *own)


@pytest.mark.parametrize("is_cached", [False, True])
async def test_a_304_has_these_headers(*, is_cached: bool) -> None:
    api = Api(is_cached=is_cached)
    await api.store(order())
    async with api.client() as client:
        found = await client.get("/orders/uid")
        same = await client.get("/orders/uid", headers={"If-None-Match": found.headers["etag"]})
    assert same.status_code == 304
    absent = ("content-type", "content-length", "x-request-id")
    assert headers_but(same, "x-request-id") == headers_but(found, *absent)


async def test_a_path_that_is_not_ascii_is_none_that_is_cached() -> None:
    for uid in ("\ufffd", "ÿ", "a/b", "%41"):
        api = Api(is_cached=True)
        await api.store(order(uid))
        assert await raw_status(b"/orders/\xff", api) == 400
        assert await raw_status(b"/orders/a/b", api) == 404
        assert await raw_status(b"/orders/%41", api) == 404


@pytest.mark.parametrize("path", ["/orders/%FF", "/orders/%C3", "/orders/a%ED%A0%80b"])
async def test_a_path_that_is_not_utf8(api: Api, client: httpx.AsyncClient, path: str) -> None:
    found = problem(await client.get(path), 400, "invalid-request")
    assert [error["parameter"] for error in found["errors"]] == ["order_uid"]


async def test_a_broken_escape() -> None:
    assert await raw_status(b"/orders/%zz") == 400
    assert await raw_status(b"/orders/a%2") == 400
    assert await raw_status(b"/orders/\xff") == 400


async def raw_status(path: bytes, api: Api | None = None) -> int:
    """The status of the answer to a path that no client library would send."""
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    lenient = path.decode(errors="replace")
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": lenient, "raw_path": path}
    scope["headers"] = [(b"host", b"test")]
    await (api or Api()).app()(scope, receive, send)
    return statuses[0]


async def test_a_server_without_raw_path() -> None:
    api = Api()
    await api.store(order("ü x"))
    app = api.app()

    async def lose_raw_path(scope: Any, receive: Any, send: Any) -> None:
        del scope["raw_path"]
        await app(scope, receive, send)

    transport = httpx.ASGITransport(lose_raw_path)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/orders/%C3%BC%20x")).json()["order_uid"] == "ü x"
        problem(await client.get("/orders/a/b"), 404, "unknown-path")


@pytest.mark.parametrize("uid", ["a/b", "/", "//", "a//b", "/a", "a/", "%2F", "%", "?x=1#y", "+ "])
async def test_what_only_a_raw_path_tells(api: Api, client: httpx.AsyncClient, uid: str) -> None:
    await api.store(order(uid))
    answer = await client.get("/orders/" + quote(uid, safe=""))
    assert answer.json()["order_uid"] == uid


@pytest.mark.parametrize("path", ["/orders/a/b", "/orders/a/", "/orders//", "/orders//a"])
async def test_an_unescaped_slash_is_another_path(
    api: Api, client: httpx.AsyncClient, path: str
) -> None:
    await api.store(order("a"), order("a/b"), order("/"))
    problem(await client.get(path), 404, "unknown-path")
    problem(await client.delete(path), 404, "unknown-path")


everywhere = Api()
app = everywhere.app()


@given(st.text(characters, min_size=1).filter(lambda uid: uid.strip() and uid not in {".", ".."}))
async def test_any_uid_comes_back_over_the_wire(uid: str) -> None:
    await everywhere.repository.save_many([order(uid)])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/orders/" + quote(uid, safe=""))
    assert answer.status_code == 200
    assert answer.content == encode(order(uid))
