"""Assembles the OpenAPI document from the routes of the application."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, NamedTuple

from litestar import Litestar
from litestar.routes import HTTPRoute

from orders.entrypoints.http.access.scopes import ANY_KEY, NOTHING, Requirement
from orders.entrypoints.http.access.sessions import COOKIE
from orders.entrypoints.http.docs.openapi.operation import Operation, RoutedOperation, operation_of
from orders.entrypoints.http.docs.openapi.parts import merged, problems
from orders.entrypoints.http.docs.openapi.schemas import components
from orders.entrypoints.http.docs.operations import UNEXPECTED
from orders.entrypoints.http.problems import (
    FORBIDDEN,
    METHOD_NOT_ALLOWED,
    MISDIRECTED,
    PROBLEM_TYPES,
    RATE_LIMITED,
    UNAUTHORIZED,
    UNKNOWN_PATH,
    ProblemType,
)

_DESCRIPTION = """\
Orders arrive on a Kafka topic or here, are checked and stored, and are served as they were sent.
The topics of orders and of dead letters are described by [/asyncapi.yaml](/asyncapi.yaml).

Every error is a problem document (RFC 9457, `application/problem+json`) whose `code` is stable.
Every response carries `X-Request-ID`: that of the request if it is 1 to 128 visible ASCII
characters, else a new one. HEAD is available wherever GET is, except for /random.

| code | status | |
| --- | --- | --- |
"""
_CODES = "\n".join(
    f"| `{problem_type.code}` | {problem_type.status} | {problem_type.title} |"
    for problem_type in PROBLEM_TYPES
)
_TAGS = {
    "orders": "Read orders, and send them.",
    "random": "Random orders, to try things out.",
    "health": "For monitoring and orchestration.",
}
_REQUEST_ID = "X-Request-ID"
_REQUEST_ID_REF = {"$ref": f"#/components/headers/{_REQUEST_ID}"}
_ELSEWHERE = {
    "UnknownPath": problems((UNKNOWN_PATH, "nothing is served at this path", ()))["404"],
    "MethodNotAllowed": problems(
        (METHOD_NOT_ALLOWED, "the Allow header lists the methods that apply", ())
    )["405"],
    "Misdirected": problems((MISDIRECTED, "this service is not reached by this host name", ()))[
        "421"
    ],
}
"""Responses to requests that match no operation."""
_ANYWHERE = problems(UNEXPECTED)


_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of `orders keys new`, or a JSON Web Token of the issuer. The scopes "
        "`orders:read`, `orders:write` and `orders:admin` do not include each other.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A session of the page, which begins at /login.",
    },
}


class _Extras(NamedTuple):
    """What the settings add to every operation."""

    is_protected: bool
    is_limited: bool

    def responses(self, requires: Requirement) -> dict[str, Any]:
        """Return the further responses of an operation that requires this."""
        if requires == NOTHING:
            return {}
        found: list[tuple[ProblemType, str, tuple[()]]] = []
        if self.is_protected:
            found.append((UNAUTHORIZED, "a key or token is required", ()))
            if requires != ANY_KEY:
                found.append((FORBIDDEN, f"this takes the scope {requires}", ()))
        if self.is_protected or self.is_limited:
            found.append((RATE_LIMITED, "too many requests in this time", ()))
        return problems(*found)


def openapi_document(
    app: Litestar, *others: RoutedOperation, is_protected: bool = False, is_limited: bool = False
) -> dict[str, Any]:
    """The OpenAPI 3.1 document of every route of ``app`` that declares an operation.

    Args:
        app: the application.
        others: operations that are served outside of it.
        is_protected: whether clients need a key or token.
        is_limited: whether a client that sends too much is refused.
    """
    extras = _Extras(is_protected, is_limited)
    paths: dict[str, Any] = {}
    known = [(other.path, other.method, other.operation) for other in others]
    for path, method, operation in (*known, *_operations(app)):
        paths.setdefault(path, {})[method] = _operation_object(operation, extras)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Orders",
            "version": version("orders"),
            "description": f"{_DESCRIPTION}{_CODES}\n",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": components(),
            "responses": {
                name: _with_request_id(response) for name, response in _ELSEWHERE.items()
            },
            **({"securitySchemes": _SECURITY_SCHEMES} if is_protected else {}),
            "headers": {
                _REQUEST_ID: {
                    "description": "Identifies this request in the logs.",
                    "schema": {"type": "string"},
                }
            },
            "parameters": {
                _REQUEST_ID: {
                    "name": _REQUEST_ID,
                    "in": "header",
                    "description": "Used if it is 1 to 128 visible ASCII characters.",
                    "schema": {"type": "string"},
                }
            },
        },
    }


def _operations(app: Litestar) -> Iterable[tuple[str, str, Operation]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if operation := operation_of(handler.opt):
                    for method in sorted(handler.http_methods - {"HEAD"}):
                        yield route.path_format, method.lower(), operation


def _operation_object(operation: Operation, extras: _Extras) -> dict[str, Any]:
    responses = merged({**_ANYWHERE, **operation.responses}, extras.responses(operation.requires))
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [
            *operation.parameters,
            {"$ref": f"#/components/parameters/{_REQUEST_ID}"},
        ],
        "responses": {
            status: _with_request_id(response) for status, response in sorted(responses.items())
        },
    }
    if extras.is_protected:
        described["security"] = _security(operation.requires)
    if operation.request_body is not None:
        described["requestBody"] = operation.request_body
    return described


def _security(requires: Requirement) -> list[dict[str, list[str]]]:
    """Return the ways to be let in, each with the scope that it needs."""
    if requires == NOTHING:
        return []
    scopes = [] if requires == ANY_KEY else [str(requires)]
    return [{name: scopes} for name in _SECURITY_SCHEMES]


def _with_request_id(response: dict[str, Any]) -> dict[str, Any]:
    headers = {**response.get("headers", {}), _REQUEST_ID: _REQUEST_ID_REF}
    return {**response, "headers": headers}
