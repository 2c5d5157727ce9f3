"""Requests that a foreign web page makes a browser send."""

from collections.abc import Mapping

import httpx
import pytest

from orders.config import Settings
from orders.entrypoints.http.docs.openapi.examples import REQUEST_ID
from tests import http_examples
from tests.unit.http.harness import Api, openapi, order, problem

EFFECTS = [("POST", "/orders"), ("POST", "/random/2"), ("GET", "/random/2")]


@pytest.mark.parametrize(("method", "path"), EFFECTS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://test:8081"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://test"},
    ],
)
async def test_pages_of_other_origins_have_no_effect(
    api: Api, client: httpx.AsyncClient, method: str, path: str, headers: Mapping[str, str]
) -> None:
    problem(await client.request(method, path, headers=headers), 403, "cross-site")
    assert not api.sent


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://public.example"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://test"},
    ],
)
async def test_programs_the_own_page_and_typed_addresses_have_one(
    client: httpx.AsyncClient, headers: Mapping[str, str]
) -> None:
    assert (await client.get("/random/1", headers=headers)).status_code == 200


@pytest.mark.parametrize("path", ["/orders", "/orders/uid", "/", "/nowhere", "/random/1"])
async def test_hosts_that_are_not_allowed_are_refused(path: str) -> None:
    api = Api(settings=Settings(http_allowed_hosts="Test, [::1],127.0.0.1"))
    await api.store(order())
    async with api.client() as client:
        for host in (
            *("elsewhere.example", "test.elsewhere.example:80", "[", "test, elsewhere.example"),
            *("elsewhere.example@test", "test/x", "test#x", "test?x", "test:x"),
        ):
            answer = await client.get(path, headers={"Host": host})
            problem(answer, 421, "misdirected")
        answer = await client.get(path, headers={"Host": "x", "X-Request-ID": REQUEST_ID})
        http_examples.assert_is_the_answer_everywhere(openapi(), "Misdirected", answer)
        for host in ("test", "TEST:8080", "127.0.0.1:8080", "[::1]:8080"):
            answer = await client.get(path, headers={"Host": host})
            assert answer.status_code in {200, 404}
        assert (await client.get("/health/live", headers={"Host": "10.0.0.7"})).status_code == 200


@pytest.mark.parametrize("path", ["/orders", "/orders/uid", "/"])
async def test_two_hosts_are_refused(api: Api, client: httpx.AsyncClient, path: str) -> None:
    await api.store(order())
    assert (await client.get(path)).status_code == 200
    answer = await client.get(path, headers=[("Host", "test"), ("Host", "test")])
    problem(answer, 400, "invalid-request")


async def test_no_order_in_a_form_that_is_not_accepted(api: Api, client: httpx.AsyncClient) -> None:
    await api.store(order())
    for accept in ("application/xml", "application/json;q=0", "text/html"):
        for path in ("/orders/uid", "/orders"):
            answer = await client.get(path, headers={"Accept": accept})
            assert answer.status_code == 406
    for accept in ("application/json", "application/*", "text/html,*/*;q=0.1"):
        assert (await client.get("/orders/uid", headers={"Accept": accept})).status_code == 200


async def test_a_path_with_an_empty_segment_is_unknown(api: Api, client: httpx.AsyncClient) -> None:
    await api.store(order())
    for path in ("//orders/uid", "/orders//uid", "///orders/uid", "//orders", "//", "//random/1"):
        problem(
            await client.get(httpx.URL("http://test", raw_path=path.encode())), 404, "unknown-path"
        )


async def test_no_host_is_refused_also_by_the_first_request(api: Api) -> None:
    await api.store(order())
    async with api.client() as client:
        request = client.build_request("GET", "/orders/uid")
        del request.headers["host"]
        problem(await client.send(request), 400, "invalid-request")
