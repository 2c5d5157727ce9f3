"""Turns an exception into a response, and logs those that an operator must know of."""

from contextlib import suppress

import structlog

from orders.domain.errors import Misconfigured, NotFound, Unavailable
from orders.entrypoints.http import request_id as ids
from orders.entrypoints.http.asgi_types import Scope
from orders.entrypoints.http.orders.order_path import order_uid_in
from orders.entrypoints.http.page.error_page import error_page, is_wanted
from orders.entrypoints.http.problems import (
    HTTPProblem,
    encoded,
    is_foreseen,
    problem_and_headers,
)
from orders.entrypoints.http.responses import RawResponse

log = structlog.get_logger("orders.http")


def error_response(error: Exception, scope: Scope) -> RawResponse:
    """Return the response for ``error``: a page for browsers, else problem details.

    The request id must be attached to the request already.
    """
    if not is_foreseen(error):
        log.error("unforeseen error", exc_info=error)
    elif isinstance(error, Misconfigured):
        log.error("this service lacks a right", reason=str(error))
    problem, headers = problem_and_headers(error, ids.of(scope))
    if not is_wanted(scope["headers"]):
        return encoded(problem, *headers)
    order_uid = ""
    if isinstance(error, NotFound | Unavailable):
        with suppress(HTTPProblem):  # it may be refused before its path was looked at
            order_uid = order_uid_in(scope)
    return error_page(
        problem,
        scope["headers"],
        *headers,
        user_message=error.user_message if isinstance(error, HTTPProblem) else None,
        order_uid=order_uid,
    )
