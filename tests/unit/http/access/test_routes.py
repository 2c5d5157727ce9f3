"""What each route requires: no route is let out."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import httpx
import jsonschema
import pytest
import schemathesis
from litestar.routes import HTTPRoute

from orders.entrypoints.http.access.access import Access
from orders.entrypoints.http.access.scopes import (
    ADMIN,
    ANY_KEY,
    NOTHING,
    READ,
    SCOPES,
    ScopeName,
    requirement_of,
)
from orders.entrypoints.http.app import create_framework_app
from orders.entrypoints.http.orders import order_events
from tests import http_examples
from tests.unit.http.access.access_harness import (
    app,
    bearer,
    client_from,
    new_key,
    protected,
    raw,
)
from tests.unit.http.harness import Api, order, problem

REQUIRED = {
    "getOrder": "orders:read",
    "deleteOrder": "orders:admin",
    "listOrders": "orders:read",
    "orderEvents": "orders:read",
    "postOrders": "orders:write",
    "postRandom": "orders:write",
    "getRandom": "orders:write",
    "live": NOTHING,
    "ready": NOTHING,
}
OPEN = {
    "/",
    "/assets/{name:str}",
    "/language/{language:str}",
    "/login",
    "/logout",
    "/health/live",
    "/health/ready",
    "/metrics",
}
"""All that is served without a key: what probes ask, and the page, which holds no data."""


async def document(settings: Any, key: str) -> dict[str, Any]:
    async with client_from(app(settings)) as client:
        found: dict[str, Any] = (await client.get("/openapi.json", headers=bearer(key))).json()
    return found


def operations(document: dict[str, Any]) -> Iterable[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


async def test_every_operation_is_refused_without_its_scope(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_events, "LONGEST", 0.01)
    by_scope = {scope: new_key(path, scope)[1] for scope in SCOPES}
    settings = protected(path)
    described = await document(settings, by_scope["orders:admin"])
    tried = set()
    for template, method, operation in operations(described):
        required = REQUIRED[operation["operationId"]]
        tried.add(operation["operationId"])
        url = template.replace("{order_uid}", "uid").replace("{amount}", "1")
        async with client_from(app(settings)) as client:
            methods = [method, "head"] if method == "get" and "random" not in url else [method]
            for each in methods:
                answers = {
                    scope: await client.request(each, url, headers=bearer(key))
                    for scope, key in by_scope.items()
                }
                without = await client.request(each, url)
                if required == NOTHING:
                    assert without.status_code == 200
                    continue
                assert without.status_code == 401
                for scope, answer in answers.items():
                    assert (answer.status_code == 403) is (scope != required), (url, scope)
                    assert answer.status_code != 401
    assert tried == set(REQUIRED)


async def test_every_operation_declares_its_scope_in_the_document(path: Path) -> None:
    _, key = new_key(path, "orders:read")
    described = await document(protected(path), key)
    schemathesis.openapi.from_dict(described).validate()
    schemes = described["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert schemes["session"] == schemes["session"] | {"in": "cookie", "name": "orders-session"}
    for _, _, operation in operations(described):
        required = REQUIRED[operation["operationId"]]
        if required == NOTHING:
            assert operation["security"] == []
            assert not {"401", "403", "429"} & operation["responses"].keys()
        else:
            assert operation["security"] == [{"bearer": [required]}, {"session": [required]}]
            assert {"401", "403", "429"} <= operation["responses"].keys()


async def test_refusals_are_as_documented(path: Path) -> None:
    by_scope = {scope: new_key(path, scope)[1] for scope in (READ, ADMIN)}
    settings = protected(path)
    described = await document(settings, by_scope[ADMIN])
    for template, method, operation in operations(described):
        required = REQUIRED[operation["operationId"]]
        if required == NOTHING:
            continue
        key = by_scope[READ if required == ADMIN else ADMIN]
        url = template.replace("{order_uid}", "uid").replace("{amount}", "1")
        async with client_from(app(settings)) as client:
            for status, headers in (("401", {}), ("403", bearer(key))):
                answer = await client.request(method, url, headers=headers)
                told = operation["responses"][status]["content"]["application/problem+json"]
                schema = {**told["schema"], "components": described["components"]}
                jsonschema.Draft202012Validator(schema).validate(answer.json())
                example = told["examples"][answer.json()["code"]]["value"]
                for name in ("code", "status", "title", "detail"):
                    assert example[name] == answer.json()[name]


async def test_without_access_control_the_document_says_nothing_of_it() -> None:
    async with Api().client() as client:
        described = (await client.get("/openapi.json")).json()
    assert "securitySchemes" not in described["components"]
    for _, _, operation in operations(described):
        assert "security" not in operation
        assert not {"401", "429"} & operation["responses"].keys()
    assert {key[0] for key in http_examples.shown(described)} == set(REQUIRED)


def test_only_these_routes_are_open(path: Path) -> None:
    new_key(path, "orders:read")
    settings = protected(path)
    framework = create_framework_app(Api().use_cases(), settings, access=Access(settings))
    routes = [route for route in framework.routes if isinstance(route, HTTPRoute)]
    requirements = {
        (route.path, requirement_of(handler.opt))
        for route in routes
        for handler in route.route_handlers
        if handler.http_methods != {"OPTIONS"}
    }
    assert {where for where, what in requirements if what == NOTHING} == OPEN
    known = {*get_args(ScopeName), ANY_KEY, NOTHING}
    assert {what for _, what in requirements} <= known
    assert len(routes) == len(framework.routes), "routes of other kinds have no guard"


async def test_no_route_answers_without_a_key(path: Path) -> None:
    """Whatever Litestar has registered, its own routes too."""
    new_key(path, "orders:read")
    settings = protected(path)
    framework = create_framework_app(Api().use_cases(), settings, access=Access(settings))
    served = app(settings)
    async with client_from(served) as client:
        for route in framework.routes:
            assert isinstance(route, HTTPRoute)
            if route.path in OPEN:
                continue
            url = route.path.replace("{amount:str}", "1")
            assert "{" not in url
            for method in route.methods:
                answer = await client.request(method, url)
                assert answer.status_code == 401, (method, url)


TRICKS = [
    b"/orders/uid",
    b"/orders/uid/",
    b"/orders//uid",
    b"//orders/uid",
    b"/orders/%75id",
    b"/orders%2Fuid",
    b"/%6Frders/uid",
    b"/ORDERS/uid",
    b"/orders",
    b"/orders/",
    b"/orders?limit=1",
    b"/orders;x=1",
    b"/./orders",
    b"/health/../orders",
    b"/health/live/../../orders",
    b"/assets/../orders",
    b"/assets/..%2Forders",
    b"/health/live%2F..%2F..%2Forders",
    b"/login/../orders/uid",
    b"/orders/uid%00",
    b"/orders/uid#/health/live",
    b"http://test/orders/uid",
    b"/openapi.json",
    b"/openapi.json/",
    b"/docs",
    b"/docs/index.html",
    b"/schema",
    b"/random/1",
    b"/random/1/",
    b"*",
]


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "DELETE", "TRACE", "get"])
async def test_no_path_leads_past_the_check(path: Path, trick: bytes, method: str) -> None:
    new_key(path, "orders:read")
    api = Api(is_cached=True)
    await api.store(order())
    sent = await raw(app(protected(path), api), trick, method=method)
    assert sent[0]["status"] in {401, 404, 405}, sent
    assert b"delivery" not in sent[1]["body"]
    assert not api.sent


@pytest.mark.parametrize("no_order_uid", [b"a%00", b"%FF", b"%"])
async def test_a_key_is_asked_for_before_the_order_uid_is_read(
    path: Path, no_order_uid: bytes
) -> None:
    """Else a flood without a key would be look-ups that are served, and OrdersNotServed silent."""
    new_key(path, "orders:read")
    sent = await raw(app(protected(path)), b"/orders/" + no_order_uid)
    assert sent[0]["status"] == 401


@pytest.mark.parametrize("decoded", ["/health/live", "/", "/login", "/metrics"])
async def test_a_path_that_decodes_to_an_open_one_is_still_checked(
    path: Path, decoded: str
) -> None:
    """The raw path leads to an order, and the decoded one is that of a probe."""
    new_key(path, "orders:read")
    api = Api(is_cached=True)
    await api.store(order())
    sent = await raw(app(protected(path), api), b"/orders/uid", decoded=decoded)
    assert sent[0]["status"] == 401


@pytest.mark.parametrize("where", [b"/orders", b"/orders/uid", b"/health/live", b"/"])
async def test_no_websocket_is_accepted(path: Path, where: bytes) -> None:
    new_key(path, "orders:read")
    sent = await raw(app(protected(path)), where, kind="websocket")
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_a_browser_is_told_how_to_log_in(path: Path) -> None:
    new_key(path, "orders:read")
    async with client_from(app(protected(path))) as client:
        answer = await client.get("/orders/uid", headers={"Accept": "text/html"})
    assert answer.status_code == 401
    assert "Нужен вход" in answer.text
    assert answer.headers["www-authenticate"] == 'Bearer realm="orders"'


async def test_unauthorized_bodies_are_not_read(path: Path) -> None:
    new_key(path, "orders:read")

    async def body() -> Any:
        raise AssertionError("the body was read")
        yield b""

    async with client_from(app(protected(path))) as client:
        problem(await client.post("/orders", content=body()), 401, "unauthorized")


async def test_an_order_is_not_kept_without_asking(path: Path) -> None:
    _, key = new_key(path, "orders:read")
    api = Api()
    await api.store(order())
    async with client_from(app(protected(path), api)) as client:
        found = await client.get("/orders/uid", headers=bearer(key))
    assert found.headers["cache-control"] == "private, no-cache"
    assert found.headers["vary"] == "authorization, cookie"
    assert isinstance(found, httpx.Response)
