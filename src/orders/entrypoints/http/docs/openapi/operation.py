"""How a route declares its operation in the OpenAPI document."""

from typing import Any

from msgspec import Struct

from orders.entrypoints.http.access.scopes import Requirement, declared

_KEY = "operation"


class Operation(Struct, frozen=True, kw_only=True):
    """An OpenAPI operation; ``responses`` by status, without those that all routes share.

    ``requires``: what a client needs to call it, where access is controlled.
    """

    id: str
    tag: str
    requires: Requirement
    summary: str
    description: str
    responses: dict[str, Any]
    parameters: tuple[dict[str, Any], ...] = ()
    request_body: dict[str, Any] | None = None


class RoutedOperation(Struct, frozen=True):
    """An operation that is served outside of Litestar, with its path template and method.

    ``method`` is in lower case.
    """

    path: str
    method: str
    operation: Operation


def documented(operation: Operation) -> dict[str, Any]:
    """Return the arguments of a route for this operation."""
    return {
        "operation_id": operation.id,
        "tags": [operation.tag],
        "opt": {_KEY: operation, **declared(operation.requires)},
    }


def operation_of(opt: dict[str, Any]) -> Operation | None:
    """Return the operation in the ``opt`` of a route, or None if it is not documented."""
    found = opt.get(_KEY)
    return found if isinstance(found, Operation) else None
