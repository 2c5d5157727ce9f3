"""How each answer that the OpenAPI document shows can be had, by the request that it shows.

Every example of an answer has a scenario here: what has to be the case, and what of the documented
request is to be otherwise. The tests in process and on real servers send them, and compare.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import jsonschema
import msgspec

from orders.domain.order.document import encode
from orders.entrypoints.http.docs.openapi.examples import ORDER, ORDER_JSON, REQUEST_ID

Document = dict[str, Any]

MAX_BODY = 3_000_000
"""Bytes that the application under test reads of a body."""

CROSS_SITE: Mapping[str, str] = {"Sec-Fetch-Site": "cross-site"}
_NO_HEADERS: Mapping[str, str] = {}


class Scenario(NamedTuple):
    """One answer: the operation, the status and the name of the example ("" for no body).

    The rest is what differs from the documented request: the path, the query, headers, the body
    (or which of the documented ones). ``stored``: the order of the examples is there.
    """

    operation: str
    status: int
    example: str = ""
    stored: bool = True
    path: str = ""
    query: Mapping[str, str] = _NO_HEADERS
    headers: Mapping[str, str] = _NO_HEADERS
    body: bytes = b""
    body_example: str = "one"

    @property
    def key(self) -> tuple[str, int, str]:
        """What it is a scenario of."""
        return self.operation, self.status, self.example


class Request(NamedTuple):
    """A request, ready for a client; its id is the one in the examples."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes


def _broken() -> bytes:
    broken = json.loads(encode(ORDER))
    broken["payment"]["amount"] = "1817"
    del broken["items"][0]["price"]
    return json.dumps(broken).encode()


ANSWERED = (
    Scenario("getOrder", 200, "order"),
    Scenario("getOrder", 304, headers={"If-None-Match": "*"}),
    Scenario("getOrder", 400, "invalid-request", path="/orders/%FF"),
    Scenario("getOrder", 404, "not-found", stored=False),
    Scenario("getOrder", 404, "unknown-path", path="/orders/a/b"),
    Scenario("getOrder", 406, "not-acceptable", headers={"Accept": "application/xml"}),
    Scenario("deleteOrder", 400, "invalid-request", path="/orders/%FF"),
    Scenario("deleteOrder", 403, "cross-site", headers=CROSS_SITE),
    Scenario("deleteOrder", 403, "forbidden"),
    Scenario("deleteOrder", 404, "not-found", path="/orders/%00"),
    Scenario("deleteOrder", 404, "unknown-path", path="/orders/a/b"),
    Scenario("listOrders", 200, "orders"),
    Scenario("listOrders", 200, "summaries", query={"view": "summary"}),
    Scenario("listOrders", 400, "invalid-request", query={"limit": "0"}),
    Scenario("listOrders", 406, "not-acceptable", headers={"Accept": "application/xml"}),
    Scenario("orderEvents", 400, "invalid-request", query={"last_event_id": "x"}),
    Scenario("postOrders", 202, "one"),
    Scenario("postOrders", 202, "several", body_example="several"),
    Scenario("postOrders", 403, "cross-site", headers=CROSS_SITE),
    Scenario("postOrders", 413, "too-large", body=b" " * (MAX_BODY + 1)),
    Scenario(
        "postOrders",
        413,
        "too-large.2",
        body=encode(msgspec.structs.replace(ORDER, entry="x" * 2_000_000)),
    ),
    Scenario("postOrders", 415, "unsupported-media-type", headers={"Content-Encoding": "gzip"}),
    Scenario("postOrders", 422, "invalid", body=_broken()),
    Scenario("postOrders", 422, "undecodable", body=b'{"order_uid": }'),
    *(
        scenario
        for operation in ("postRandom", "getRandom")
        for scenario in (
            Scenario(operation, 200, "orders"),
            Scenario(operation, 400, "invalid-request", path="/random/0"),
            Scenario(operation, 403, "cross-site", headers=CROSS_SITE),
        )
    ),
    Scenario("live", 200, "live"),
)
"""With all servers there, or only the cache away."""

AS_LINES = Scenario("listOrders", 200, "orders", headers={"Accept": "application/x-ndjson"})

WITHOUT_CACHE = (Scenario("ready", 200, "degraded"),)
WITHOUT_DATABASE = (
    Scenario("getOrder", 503, "unavailable", stored=False),
    Scenario("listOrders", 503, "unavailable", stored=False),
    Scenario("orderEvents", 503, "unavailable", stored=False),
    Scenario("ready", 503, "unavailable"),
)
DAMAGED = Scenario("getOrder", 500, "damaged")
"""With the order stored, and its row in payments lost."""
WITH_CITUS = Scenario("orderEvents", 501, "unsupported", stored=False)
WITHOUT_BROKER = (
    Scenario("postOrders", 503, "unavailable"),
    Scenario("postRandom", 503, "unavailable"),
    Scenario("getRandom", 503, "unavailable"),
)
WITHOUT_RIGHTS = tuple(
    Scenario(operation, 500, "misconfigured", stored=False)
    for operation in (
        *("getOrder", "listOrders", "orderEvents", "postOrders", "postRandom", "getRandom"),
    )
)
"""With users that lack a right; see tests/integration/system/test_least_rights.py."""
FAILING = tuple(
    Scenario(operation, 500, "internal", stored=False)
    for operation in (
        *("getOrder", "listOrders", "orderEvents", "postOrders", "postRandom", "getRandom"),
        "ready",
    )
)
"""With a fault that nobody has foreseen, which no real server can be asked for."""

_BOUNDS = "no HTTP client library sends such a request; see tests/integration/http/test_bounds.py"
_NO_ACCESS_CONTROL = (
    "it is refused without access control; see tests/unit/http/test_forget_order.py"
)
_MANY = "it takes many clients at a time; see tests/"
NOT_TO_BE_HAD = {
    ("deleteOrder", 204, ""): _NO_ACCESS_CONTROL,
    ("deleteOrder", 500, "internal"): _NO_ACCESS_CONTROL,
    ("deleteOrder", 500, "misconfigured"): _NO_ACCESS_CONTROL,
    ("deleteOrder", 503, "unavailable"): _NO_ACCESS_CONTROL,
    ("getOrder", 503, "overloaded"): _MANY + "integration/http/test_bounds.py",
    ("listOrders", 503, "overloaded"): _MANY + "unit/domain/use_cases/test_list_orders.py",
    ("live", 500, "internal"): "it checks nothing, so nothing can fail in it",
    ("orderEvents", 200, ""): "it has no end; see tests/unit/http/test_order_events.py",
    ("orderEvents", 503, "overloaded"): _MANY + "unit/http/test_order_events.py",
    ("postOrders", 400, "incomplete-body"): _BOUNDS,
    ("postOrders", 408, "slow-body"): _BOUNDS,
    ("postOrders", 503, "overloaded"): _BOUNDS,
}

EVERYWHERE = {
    "UnknownPath": ("GET", "/nowhere"),
    "MethodNotAllowed": ("DELETE", "/orders"),
}
"""What no operation is for."""


def shown(document: Document) -> set[tuple[str, int, str]]:
    """All answers that the document shows."""
    found = set()
    for _, _, operation in _operations(document):
        for status, response in operation["responses"].items():
            names = [
                name
                for body in response.get("content", {}).values()
                for name in body.get("examples", {})
            ]
            found |= {(operation["operationId"], int(status), name) for name in names or [""]}
    return found


def request(document: Document, scenario: Scenario) -> Request:
    """The documented request, with what the scenario has otherwise."""
    path, method, operation = _operation(document, scenario.operation)
    query = {}
    for parameter in operation["parameters"]:
        if "example" in parameter:
            text = str(parameter["example"])
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", quote(text, safe=""))
            else:
                query[parameter["name"]] = text
    query |= scenario.query
    url = scenario.path or path
    if query:
        url += "?" + "&".join(f"{name}={quote(text)}" for name, text in query.items())
    content = scenario.body
    if "requestBody" in operation and not content:
        examples = operation["requestBody"]["content"]["application/json"]["examples"]
        content = json.dumps(examples[scenario.body_example]["value"]).encode()
    headers = {"X-Request-ID": REQUEST_ID, **scenario.headers}
    return Request(method.upper(), url, headers, content)


def with_every_filter(document: Document) -> str:
    """GET /orders with all parameters at once, by the examples of their schemas."""
    path, _, operation = _operation(document, "listOrders")
    texts = {
        parameter["name"]: quote(str(parameter["schema"]["examples"][0]))
        for parameter in operation["parameters"]
        if "examples" in parameter.get("schema", {})
    }
    assert len(texts) == 6
    return path + "?" + "&".join(f"{name}={text}" for name, text in texts.items())


def assert_as_shown(document: Document, scenario: Scenario, answer: Any) -> None:
    """The answer is the documented one: status, type, headers and body.

    Args:
        document: the OpenAPI document.
        scenario: what was asked for.
        answer: an answer of httpx.
    """
    assert answer.status_code == scenario.status, answer.text[:500]
    _, _, operation = _operation(document, scenario.operation)
    _assert_is(document, operation["responses"][str(scenario.status)], scenario.example, answer)


def as_shown(document: Document, scenario: Scenario, answer: Any) -> Any:
    """The answer if it is the documented one, else None."""
    try:
        assert_as_shown(document, scenario, answer)
    except AssertionError:
        return None
    return answer


def assert_is_the_answer_everywhere(document: Document, name: str, answer: Any) -> None:
    """The same for what no operation is for."""
    response = document["components"]["responses"][name]
    ((example, _),) = response["content"]["application/problem+json"]["examples"].items()
    _assert_is(document, response, example, answer)


def _assert_is(document: Document, response: Document, example: str, answer: Any) -> None:
    for header in set(response.get("headers", {})) - {"Link"}:  # which is there with a next page
        assert header in answer.headers
    if not example:
        assert "content" not in response
        assert not answer.content
        return
    media_type = answer.headers["content-type"]
    told = response["content"][media_type]
    expected = told["examples"][example]["value"]
    if media_type == "application/x-ndjson":
        assert answer.text == expected
        return
    schema = {**told["schema"], "components": document["components"]}
    body = answer.json()
    jsonschema.Draft202012Validator(schema).validate(body)
    if isinstance(expected, list) and expected[0]["order_uid"] != ORDER_JSON["order_uid"]:
        assert len(body) == len(expected)  # made up, each time anew
        assert list(body[0]) == list(expected[0])
    else:
        assert _lasting(body) == _lasting(expected)


def _lasting(node: Any) -> Any:
    """Without since when a part is as it is."""
    if isinstance(node, dict):
        return {name: _lasting(value) for name, value in node.items() if name != "since"}
    return node


def _operations(document: Document) -> list[tuple[str, str, Document]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def _operation(document: Document, operation_id: str) -> tuple[str, str, Document]:
    (found,) = (told for told in _operations(document) if told[2]["operationId"] == operation_id)
    return found
