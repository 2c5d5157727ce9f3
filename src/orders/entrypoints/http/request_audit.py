"""Records requests in the audit log."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from orders.entrypoints.audit import Audit
from orders.entrypoints.http import request_id as ids
from orders.entrypoints.http.access.principal import sender
from orders.entrypoints.http.asgi_types import Scope
from orders.entrypoints.http.problems import code_of


def record(
    audit: Audit | None,
    event: str,
    scope: Scope,
    order_uids: Iterable[str] = (),
    error: Exception | None = None,
) -> None:
    """Record what a request did with these orders, or ``error`` in its place; see ``Audit``.

    The request id must be attached to the request already.
    """
    if audit is not None:
        outcome = "ok" if error is None else code_of(error)
        audit.record(event, order_uids, sender(scope), outcome, request_id=ids.of(scope))


@contextmanager
def recorded_failure(
    audit: Audit | None, event: str, scope: Scope, order_uids: Iterable[str] = ()
) -> Iterator[None]:
    """Record an error that leaves the block."""
    try:
        yield
    except Exception as error:
        record(audit, event, scope, order_uids, error)
        raise
