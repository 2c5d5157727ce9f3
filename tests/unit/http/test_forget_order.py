"""DELETE /orders/{order_uid}, and what the audit log has of it and of other requests."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from orders.adapters.memory.erasure import MemoryErasure
from orders.domain.errors import Misconfigured
from orders.domain.order.document import encode
from orders.domain.use_cases.forget_orders import ForgetOrders
from orders.entrypoints.http.access.scopes import ADMIN, READ, SCOPES, WRITE, ScopeName
from tests.http_examples import CROSS_SITE
from tests.unit.http.access.access_harness import bearer, new_key, protected
from tests.unit.http.harness import SETTINGS, Api, order, problem

KEY = "a key of the operators"
PERSONAL = encode(order()).decode()


@pytest.fixture
def api() -> Api:
    return Api(is_cached=True)


@asynccontextmanager
async def client_with_key(
    api: Api, folder: Path, *scopes: ScopeName, **others: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose key has these scopes; ``others`` as in ``Api.client``."""
    path = folder / "keys.json"
    _, key = new_key(path, *scopes)
    api.settings = protected(path)
    async with api.client(**others) as client:
        client.headers.update(bearer(key))
        yield client


@pytest.fixture
async def administrator(api: Api, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with client_with_key(api, tmp_path, *SCOPES) as client:
        yield client


@pytest.mark.parametrize("text", ["%20", "x" * 256])
async def test_what_no_order_can_be_called_leaves_no_tombstone(
    api: Api, administrator: httpx.AsyncClient, text: str
) -> None:
    problem(await administrator.delete(f"/orders/{text}"), 404, "not-found")
    assert await api.erasure.latest_position() == 0


async def test_without_access_control_nobody_may(api: Api, client: httpx.AsyncClient) -> None:
    await api.store(order())
    found = problem(await client.delete("/orders/uid"), 403, "forbidden")
    assert "orders forget" in found["detail"]
    assert (await client.get("/orders/uid")).status_code == 200


async def test_only_administrators_may(api: Api, tmp_path: Path) -> None:
    await api.store(order())
    async with client_with_key(api, tmp_path, READ, WRITE) as client:
        problem(await client.delete("/orders/uid"), 403, "forbidden")
        assert (await client.get("/orders/uid")).status_code == 200
        del client.headers["Authorization"]
        problem(await client.delete("/orders/uid"), 401, "unauthorized")
        problem(await client.delete("/orders/uid", headers=CROSS_SITE), 401, "unauthorized")
    assert [(line["outcome"], "who" in line) for line in api.audited] == [
        ("forbidden", True),
        ("ok", True),
    ]


async def test_to_forget_is_not_to_read(api: Api, tmp_path: Path) -> None:
    await api.store(order())
    async with client_with_key(api, tmp_path, ADMIN) as client:
        problem(await client.get("/orders/uid"), 403, "forbidden")
        assert (await client.delete("/orders/uid")).status_code == 204


class TestForgetting:
    @pytest.fixture
    def client(self, administrator: httpx.AsyncClient) -> httpx.AsyncClient:
        return administrator

    async def test_a_forgotten_order_is_not_found_and_not_stored_again(
        self, api: Api, client: httpx.AsyncClient
    ) -> None:
        await api.store(order("a/ж"), order("other"))
        for _ in range(2):
            answer = await client.delete("/orders/a%2F%D0%B6")
            assert (answer.status_code, answer.content) == (204, b"")
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-request-id"]
            problem(await client.get("/orders/a%2F%D0%B6"), 404, "not-found")
        tag = {"If-None-Match": "*"}
        assert (await client.get("/orders/a%2F%D0%B6", headers=tag)).status_code == 404
        assert [each["order_uid"] for each in (await client.get("/orders")).json()] == ["other"]
        report = await api.repository.save_many([order("a/ж")])
        assert report.forgotten == {"a/ж"}

    async def test_one_that_was_never_stored(self, api: Api, client: httpx.AsyncClient) -> None:
        assert (await client.delete("/orders/later")).status_code == 204
        assert (await api.repository.save_many([order("later")])).forgotten == {"later"}

    async def test_other_sites_may_not(self, client: httpx.AsyncClient) -> None:
        problem(await client.delete("/orders/uid", headers=CROSS_SITE), 403, "cross-site")

    async def test_the_store_is_down(self, api: Api, client: httpx.AsyncClient) -> None:
        await api.store(order())
        api.repository.available = False
        problem(await client.delete("/orders/uid"), 503, "unavailable")
        api.repository.available = True
        assert (await client.delete("/orders/uid")).status_code == 204

    async def test_a_missing_right_is_logged_and_invites_no_retry(
        self, api: Api, tmp_path: Path
    ) -> None:
        class Denied(MemoryErasure):
            async def forget(self, order_uids: Collection[str]) -> int:
                raise Misconfigured("PostgreSQL denies this user UPDATE on table orders")

        denied = ForgetOrders(Denied(api.repository), api.follow)
        async with client_with_key(api, tmp_path, ADMIN, forget=denied) as client:
            with structlog.testing.capture_logs() as lines:
                answer = await client.delete("/orders/uid")
        problem(answer, 500, "misconfigured")
        assert "retry-after" not in answer.headers
        (line,) = [line for line in lines if line["event"] == "this service lacks a right"]
        assert (line["log_level"], line["reason"]) == (
            "error",
            "PostgreSQL denies this user UPDATE on table orders",
        )


class TestAudit:
    async def test_reads_lists_sends_and_deletions_are_recorded(
        self, api: Api, administrator: httpx.AsyncClient
    ) -> None:
        client = administrator
        await api.store(order())
        mine = {"X-Request-ID": "mine"}
        await client.get("/orders/uid", headers=mine)
        await client.head("/orders/uid", headers={"If-None-Match": "*"})
        await client.get("/orders?limit=5")
        await client.get("/orders")
        await client.post("/orders", content=encode(order("sent")))
        await client.delete("/orders/uid")
        await client.get("/orders/uid")
        await client.options("/orders/uid")
        await client.get("/health/live")
        found = [(line["event"], line["orders"], line["outcome"]) for line in api.audited]
        assert found == [
            ("read", ["uid"], "ok"),
            ("read", ["uid"], "ok"),
            ("listed", ["uid"], "ok"),
            ("listed", ["uid"], "ok"),
            ("sent", ["sent"], "ok"),
            ("forgot", ["uid"], "ok"),
            ("read", [], "not-found"),
        ]
        for line in api.audited:
            assert line["from"] == "127.0.0.1"
            assert line["who"].startswith("key:")
            assert line["logger"] == "orders.audit"
            assert line["process"] == "api"
            assert line["timestamp"].endswith("Z")
            assert line["request_id"]
        assert api.audited[0]["request_id"] == "mine"

    @pytest.mark.parametrize("query", ["", "?limit=5", "?customer_id=nobody"])
    async def test_a_list_without_orders_is_recorded(
        self, api: Api, administrator: httpx.AsyncClient, query: str
    ) -> None:
        assert (await administrator.get(f"/orders{query}")).json() == []
        assert [(line["event"], line["orders"]) for line in api.audited] == [("listed", [])]

    async def test_failures_are_recorded_with_their_code(
        self, api: Api, client: httpx.AsyncClient
    ) -> None:
        api.repository.available = api.publisher.available = False
        await client.get("/orders/uid")
        await client.get("/orders")
        await client.get("/orders?limit=1")
        await client.post("/orders", content=encode(order()))
        await client.post("/orders", content=b"{}")
        await client.post("/random/1")
        await client.delete("/orders/uid")
        found = [(line["event"], line["orders"], line["outcome"]) for line in api.audited]
        assert found == [
            ("read", [], "unavailable"),
            ("listed", [], "unavailable"),
            ("listed", [], "unavailable"),
            ("sent", [], "unavailable"),
            ("sent", [], "invalid"),
            ("sent", [], "unavailable"),
            ("forgot", [], "forbidden"),
        ]

    async def test_no_personal_data_is_in_it(self, api: Api, client: httpx.AsyncClient) -> None:
        """Also not what a client asks for that is no order."""
        await api.store(order())
        await client.get("/orders")
        await client.get("/orders/test@gmail.com")
        await client.delete("/orders/test@gmail.com")
        text = msgspec.json.encode(api.audited).decode()
        for value in msgspec.json.decode(PERSONAL)["delivery"].values():
            assert value not in text
        assert [line["outcome"] for line in api.audited] == ["ok", "not-found", "forbidden"]

    async def test_with_a_key_order_uids_are_hashed(self) -> None:
        api = Api(settings=msgspec.structs.replace(SETTINGS, audit_key=KEY))
        await api.store(order("заказ"))
        async with api.client() as client:
            await client.get("/orders/заказ")
            await client.get("/orders/none")
        names = [
            hmac.new(KEY.encode(), uid.encode(), hashlib.sha256).hexdigest()[:32]
            for uid in ("заказ", "none")
        ]
        assert [line["orders"] for line in api.audited] == [[name] for name in names]
