"""What the document says about one route, declared beside it."""

from typing import Any

from msgspec import Struct

_KEY = "operation"


class Operation(Struct, frozen=True, kw_only=True):
    """One operation in OpenAPI's words; ``responses`` by status, all but what any route may say."""

    id: str
    tag: str
    summary: str
    description: str
    responses: dict[str, Any]
    parameters: tuple[dict[str, Any], ...] = ()
    request_body: dict[str, Any] | None = None


class RoutedOperation(Struct, frozen=True):
    """An operation that is served outside the framework, and where: a path template and a method.

    ``method`` is in small letters.
    """

    path: str
    method: str
    operation: Operation


def documented(operation: Operation) -> dict[str, Any]:
    """Arguments of a route that is in the document."""
    return {"operation_id": operation.id, "tags": [operation.tag], "opt": {_KEY: operation}}


def operation_of(opt: dict[str, Any]) -> Operation | None:
    """The operation of a route, from its ``opt``; None for one that is not in the document."""
    found = opt.get(_KEY)
    return found if isinstance(found, Operation) else None
