"""POST and GET /random/{amount}."""

import httpx
import pytest

from orders.domain.intake.reading import read
from orders.domain.order.document import encode
from tests.unit.http.harness import SETTINGS, Api, problem

MOST = SETTINGS.random_max


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("amount", [1, 5, MOST])
async def test_makes_that_many_and_sends_them(
    api: Api, client: httpx.AsyncClient, method: str, amount: int
) -> None:
    answer = await client.request(method, f"/random/{amount}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    found = read(answer.content)
    assert len(found.accepted) == amount
    assert [message.value for message in api.sent] == [encode(a.order) for a in found.accepted]


@pytest.mark.parametrize(
    "amount",
    [
        "0", "007", "+5", "-1", "1.0", "1e1", "five", "%20", "5%20", "%205", "5%0A", "%D9%A5",
        "%EF%BC%95", "0x5", "1_0", "%FF", "%00", str(MOST + 1), "9" * 200,
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_not_an_amount(api: Api, client: httpx.AsyncClient, method: str, amount: str) -> None:
    answer = await client.request(method, f"/random/{amount}")
    (error,) = problem(answer, 400, "invalid-request")["errors"]
    assert error == {"parameter": "amount", "detail": f"must be a number from 1 to {MOST}"}
    assert api.sent == []


async def test_reads_that_may_not_change_anything(api: Api, client: httpx.AsyncClient) -> None:
    head = await client.head("/random/1")
    assert (head.status_code, head.headers["allow"]) == (405, "GET, OPTIONS, POST")
    options = await client.options("/random/1")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, OPTIONS, POST")
    assert api.sent == []


async def test_other_paths(client: httpx.AsyncClient) -> None:
    for path in ("/random", "/random/", "/random/1/2"):
        problem(await client.get(path), 404, "unknown-path")


async def test_the_topic_is_away(api: Api, client: httpx.AsyncClient) -> None:
    api.publisher.available = False
    problem(await client.post("/random/1"), 503, "unavailable")
