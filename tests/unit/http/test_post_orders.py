"""POST /orders."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from orders.config import Settings
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from tests.unit.http.harness import SETTINGS, Api, order, problem


def packed(*orders: Order) -> bytes:
    return b"[" + b",".join(map(encode, orders)) + b"]"


def document(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encode(order()))
    return found | changes


async def test_one_order(api: Api, client: httpx.AsyncClient) -> None:
    answer = await client.post("/orders", content=encode(order()))
    assert answer.status_code == 202
    assert answer.json() == {"order_uids": ["uid"]}
    assert answer.headers["location"] == "/orders/uid"
    assert answer.headers["content-type"] == "application/json"
    (message,) = api.sent
    assert (message.key, message.value) == (b"uid", encode(order()))


async def test_several_orders(api: Api, client: httpx.AsyncClient) -> None:
    content = packed(order("b"), order("a"), order("b"))
    answer = await client.post("/orders", content=content)
    assert answer.json() == {"order_uids": ["b", "a"]}
    assert answer.headers["location"] == "/orders"
    assert [message.key for message in api.sent] == [b"b", b"a"]


@pytest.mark.parametrize("uid", ["a/b", "ü ?#%", "😀", ".", ".."])
async def test_location_leads_there(api: Api, client: httpx.AsyncClient, uid: str) -> None:
    answer = await client.post("/orders", content=packed(order(uid)))
    location = answer.headers["location"]
    assert location in {f"/orders/{quote(uid, safe='')}", f"/orders?order_uid={uid}"}
    await api.store(order(uid))
    found = (await client.get(location)).json()
    assert (found if isinstance(found, dict) else found[0])["order_uid"] == uid


async def test_texts_may_be_absent_or_null(api: Api, client: httpx.AsyncClient) -> None:
    loose = document(entry=None)
    del loose["locale"], loose["delivery"]["phone"]
    assert (await client.post("/orders", json=loose)).status_code == 202
    assert json.loads(api.sent[0].value or b"")["delivery"]["phone"] == ""


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "text/plain",
        "x",
        "multipart/form-data",
        "application/x-www-form-urlencoded",
    ],
)
async def test_any_content_type(client: httpx.AsyncClient, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    answer = await client.post("/orders", content=encode(order()), headers=headers)
    assert answer.status_code == 202


async def test_every_fault_of_every_order(api: Api, client: httpx.AsyncClient) -> None:
    first = document(customer_id=" ", sm_id="99")
    second = document(order_uid="b", items=[document()["items"][0] | {"price": -1}])
    third = document(order_uid="good")
    answer = await client.post("/orders", json=[first, second, third, 7])
    found = problem(answer, 422, "invalid")
    assert {(error["pointer"], error["detail"]) for error in found["errors"]} == {
        ("/0/customer_id", "must be 1 to 255 characters and not blank"),
        ("/0/sm_id", "expected int, got str"),
        ("/1/items/0/price", "must not be negative and must fit 64 bits"),
        ("/3", "expected object, got int"),
    }
    assert api.sent == []


@pytest.mark.parametrize(
    ("content", "code", "pointer"),
    [
        (b"", "invalid", ""),
        (b"null", "invalid", ""),
        (b"[]", "invalid", ""),
        (b"7", "invalid", ""),
        (b"{", "undecodable", ""),
        (b'{"a": "\xff"}', "undecodable", ""),
        (b"[" * 5000, "undecodable", ""),
        (b"[" * 5000 + b"]" * 5000, "invalid", "/0"),
    ],
)
async def test_documents_that_are_no_orders(
    api: Api, client: httpx.AsyncClient, content: bytes, code: str, pointer: str
) -> None:
    found = problem(await client.post("/orders", content=content), 422, code)
    assert [error["pointer"] for error in found["errors"]] == [pointer]
    assert api.sent == []


async def test_one_uid_with_two_contents(api: Api, client: httpx.AsyncClient) -> None:
    content = packed(order("a"), order("a", entry="other"))
    found = problem(await client.post("/orders", content=content), 422, "invalid")
    assert [error["pointer"] for error in found["errors"]] == ["/1/order_uid"]
    assert api.sent == []


async def test_faults_hold_no_values(client: httpx.AsyncClient) -> None:
    content = json.dumps(document(date_created="Test Testov", sm_id="hunter2"))
    answer = await client.post("/orders", content=content)
    assert answer.status_code == 422
    assert "Testov" not in answer.text
    assert "hunter2" not in answer.text


async def test_bodies_at_the_limit_and_above(api: Api, client: httpx.AsyncClient) -> None:
    body = encode(order())
    exact = body + b" " * (SETTINGS.http_max_body - len(body))
    assert (await client.post("/orders", content=exact)).status_code == 202
    problem(await client.post("/orders", content=exact + b" "), 413, "too-large")

    async def chunks() -> Any:  # without Content-Length
        for _ in range(11):
            yield b" " * (SETTINGS.http_max_body // 10)

    problem(await client.post("/orders", content=chunks()), 413, "too-large")
    assert len(api.sent) == 1


async def test_an_order_that_is_too_large() -> None:
    api = Api(settings=Settings(http_max_body=3_000_000))
    async with api.client() as client:
        answer = await client.post("/orders", content=encode(order(entry="x" * 2_000_000)))
    problem(answer, 413, "too-large")
    assert api.sent == []


async def test_an_encoded_body(client: httpx.AsyncClient) -> None:
    headers = {"Content-Encoding": "gzip"}
    answer = await client.post("/orders", content=b"\x1f\x8b", headers=headers)
    problem(answer, 415, "unsupported-media-type")
    plain = {"Content-Encoding": "identity"}
    assert (await client.post("/orders", content=encode(order()), headers=plain)).status_code == 202


async def test_the_topic_is_away(api: Api, client: httpx.AsyncClient) -> None:
    api.publisher.available = False
    answer = await client.post("/orders", content=encode(order()))
    problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_the_request_id_goes_along(api: Api, client: httpx.AsyncClient) -> None:
    headers = {"X-Request-ID": "trace-1"}
    await client.post("/orders", content=encode(order()), headers=headers)
    await client.post("/random/1", headers=headers)
    made = await client.get("/random/1")
    assert [sent_id(message.headers) for message in api.sent] == [
        b"trace-1",
        b"trace-1",
        made.headers["x-request-id"].encode(),
    ]


def sent_id(headers: Any) -> bytes:
    found: Mapping[str, bytes] = dict(headers)
    return found["x-request-id"]
