"""The OpenAPI document and the pages, all from here."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import jsonschema
import msgspec
import pytest
import schemathesis
import yaml
from hypothesis import given
from litestar.routes import HTTPRoute

from orders.domain.intake.reading import read
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.order.rules import INT64_MAX, INT64_MIN
from orders.entrypoints.http.docs.openapi.examples import ORDER
from tests.strategies import documents, orders
from tests.unit.http.harness import framework_app, openapi

framework = framework_app()
DOCUMENT = openapi()


def validator(name: str) -> Any:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


async def test_json_and_yaml_say_the_same(client: httpx.AsyncClient) -> None:
    as_json = await client.get("/openapi.json")
    as_yaml = await client.get("/swagger.yaml")
    assert as_json.headers["content-type"] == "application/json"
    assert as_yaml.headers["content-type"] == "application/yaml"
    assert as_json.json() == yaml.safe_load(as_yaml.text)
    assert not re.search(r"[&*]id\d+", as_yaml.text)
    assert as_json.json()["openapi"] == "3.1.0"


def test_it_is_valid() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    with pytest.raises(Exception, match="title"):
        schemathesis.openapi.from_dict(DOCUMENT | {"info": {}}).validate()


def test_every_route_is_in_the_document_or_out_of_it_on_purpose() -> None:
    told = {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}
    served = {
        (route.path_format, method.lower())
        for route in framework.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.resolve_include_in_schema()
        for method in handler.http_methods - {"HEAD", "OPTIONS"}
    }
    assert told == served | {
        ("/orders/{order_uid}", method)
        for method in ("get", "delete")  # which Litestar does not serve
    }


def test_operations_are_complete() -> None:
    ids = []
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            ids.append(operation["operationId"])
            assert operation["summary"]
            assert operation["description"]
            assert operation["tags"]
            assert "500" in operation["responses"]
            for status, response in operation["responses"].items():
                assert response["description"]
                assert "X-Request-ID" in response["headers"]
                problem = "application/problem+json" in response.get("content", {})
                health = operation["tags"] == ["health"] and status == "503"
                assert problem == (int(status) >= 400 and not health)
            for parameter in operation["parameters"]:
                assert "$ref" in parameter or parameter["description"]
    assert len(ids) == len(set(ids))


def test_examples_meet_their_schemas() -> None:
    checked = 0
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            contents = [response.get("content", {}) for response in operation["responses"].values()]
            contents.append(operation.get("requestBody", {}).get("content", {}))
            for content in contents:
                for body in content.values():
                    schema = {**body["schema"], "components": DOCUMENT["components"]}
                    for example in body.get("examples", {}).values():
                        jsonschema.Draft202012Validator(schema).validate(example["value"])
                        checked += 1
    assert checked > 20
    assert read(encode(ORDER)).accepted[0].order == ORDER


def test_schemas_are_exact() -> None:
    amount = DOCUMENT["components"]["schemas"]["Payment"]["properties"]["amount"]
    assert (amount["minimum"], amount["maximum"]) == (0, INT64_MAX)
    sale = DOCUMENT["components"]["schemas"]["Item"]["properties"]["sale"]
    assert (sale["minimum"], sale["maximum"]) == (INT64_MIN, INT64_MAX)


def test_blank_is_what_it_is_to_the_rules() -> None:
    pattern = DOCUMENT["components"]["schemas"]["Order"]["properties"]["order_uid"]["pattern"]
    for code in range(0x110000):
        assert bool(re.search(pattern, chr(code))) == bool(re.search(r"\S", chr(code)))


@given(orders())
def test_every_order_meets_the_schema_of_what_goes_out(order: Order) -> None:
    validator("Order").validate(msgspec.json.decode(encode(order)))


@given(documents())
def test_whatever_a_producer_may_send_meets_the_schema_of_what_comes_in(
    sent: tuple[Order, bytes],
) -> None:
    validator("NewOrder").validate(msgspec.json.decode(sent[1]))


@pytest.mark.parametrize(
    "path",
    ["order_uid", "customer_id", "date_created", "delivery", "payment.amount", "items.0.status"],
)
@pytest.mark.parametrize("absent", [True, False])
def test_what_is_required_is_required(path: str, absent: bool) -> None:
    sent: Any = msgspec.json.decode(encode(ORDER))
    *way, last = path.split(".")
    place = sent
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    if absent:
        del place[last]
    else:
        place[last] = None
    assert not validator("NewOrder").is_valid(sent)
    assert read(msgspec.json.encode(sent)).refused


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [value for name in ("src", "href") if (value := given.get(name))]
        self.inline += tag == "style" or (tag == "script" and "src" not in given)
        self.inline += any(name == "style" or name.startswith("on") for name in given)


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_load_only_what_is_served_here(client: httpx.AsyncClient, path: str) -> None:
    page = await client.get(path, follow_redirects=True)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    references = _References()
    references.feed(page.text)
    assert references.found
    assert references.inline == 0
    for reference in references.found:
        assert reference.startswith(("/", "#"))
        answer = await client.get(reference, follow_redirects=True)
        assert answer.status_code in {200, 503} or reference == "/health/ready"


async def test_the_page_and_the_docs_lead_to_each_other(client: httpx.AsyncClient) -> None:
    assert '<a href="/docs">' in (await client.get("/")).text
    assert '<a href="/">' in (await client.get("/docs/index.html")).text


async def test_docs_lead_to_the_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    assert (answer.status_code, answer.headers["location"]) == (302, "/docs/index.html")
    start = (await client.get("/docs/start.js")).text
    assert '"/openapi.json"' in start
    assert "validatorUrl: null" in start  # else a badge of another host
    assert "http" not in start


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/openapi.json", "application/json"),
        ("/swagger.yaml", "application/yaml"),
        ("/asyncapi.yaml", "application/yaml"),
        ("/asyncapi.json", "application/json"),
        ("/docs/index.html", "text/html; charset=utf-8"),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
        ("/docs/favicon-32x32.png", "image/png"),
        ("/docs/start.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_files_are_kept_by_clients(
    client: httpx.AsyncClient, path: str, media_type: str
) -> None:
    answer = await client.get(path)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == "no-cache"
    tag = answer.headers["etag"]
    again = await client.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    head = await client.head(path)
    assert head.headers["content-length"] == str(len(answer.content))
