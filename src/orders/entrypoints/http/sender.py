"""Who a request comes from, and whether it may erase orders: the one place that decides it."""

from orders.entrypoints.http.asgi_types import Scope
from orders.entrypoints.http.problems import FORBIDDEN, HTTPProblem

NO_ACCESS_CONTROL = (
    "this API has no access control, so anybody could delete orders: use `orders forget`"
)


def who(scope: Scope) -> dict[str, str]:
    """Return who sent a request, and from where, for the audit log."""
    client = scope.get("client")
    return {"from": client[0] if client else "unknown"}


def require_eraser(scope: Scope) -> None:
    """Return if the sender of a request may erase orders.

    Raises:
        HTTPProblem: it may not.
    """
    del scope
    raise HTTPProblem(FORBIDDEN, NO_ACCESS_CONTROL)
