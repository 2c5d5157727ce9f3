"""Around every request: its id, the headers that every answer has, its line in the log."""

import logging
from time import perf_counter
from typing import NoReturn

import structlog
from litestar.exceptions import LitestarException
from structlog.contextvars import bind_contextvars

from orders.domain.errors import OrdersError
from orders.entrypoints.http import request_id as ids
from orders.entrypoints.http.asgi_types import ASGIApp, Message, Receive, Scope, Send
from orders.entrypoints.http.failures import answer_and_report
from orders.entrypoints.http.routes import has_effect

_POLICY = b"content-security-policy"
NOTHING_LOADS = (_POLICY, b"default-src 'none'; frame-ancestors 'none'")
"""For answers that are not pages, should a browser take one for a page."""
SAFETY = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_FIRST_ERROR = 400
_NOT_FOUND = 404

log = structlog.get_logger("orders.http")
_stdlib_log = logging.getLogger("orders.http")


class TransferBroken(Exception):
    """An answer that cannot be finished; raised to the server so that it breaks the transfer."""


class RequestEnvelope:
    """An ASGI application around ``app`` that never lets an error out, but for TransferBroken.

    ``new_ids`` makes the ids of requests that come without.
    """

    def __init__(self, app: ASGIApp, new_ids: ids.IdSource) -> None:
        self._app = app
        self._ids = new_ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; raises TransferBroken when it fails after its answer has begun."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        sent_id = self._ids.taken_or_made(scope["headers"])
        bind_contextvars(request_id=sent_id.decode())  # in the context of the request's own task
        await enclosed(self._app, scope, receive, send, sent_id, began)


async def enclosed(  # noqa: PLR0917, those of ASGI, and what is known of the request
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, sent_id: bytes, began: float
) -> None:
    """Serve a request that has this id and ``began`` then; raises as ``RequestEnvelope`` does."""
    ids.attach(scope, sent_id.decode())
    status = 0

    async def send_in_envelope(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = [*message["headers"], *SAFETY, (ids.HEADER, sent_id)]
            if _POLICY not in dict(headers):
                headers.append(NOTHING_LOADS)
            message["headers"] = headers
        await send(message)

    try:
        await app(scope, receive, send_in_envelope)
    except Exception as error:  # noqa: BLE001, all of them have an answer
        if status:
            # The framework has wrapped what went wrong under way.
            cause = error.__cause__ if isinstance(error, LitestarException) else None
            _break_off(scope, status, began, cause or error)
        found = answer_and_report(error, scope)
        await found(scope, receive, send_in_envelope)
    _log(scope, status, began)


def _break_off(scope: Scope, status: int, began: float, error: BaseException) -> NoReturn:
    foreseen = isinstance(error, OrdersError)
    if not foreseen:
        log.error("unforeseen error", exc_info=error)
    _log(scope, status, began, broken_off=str(error) if foreseen else "unforeseen error")
    raise TransferBroken from None


def _log(scope: Scope, status: int, began: float, **more: str) -> None:
    """One line a request: its route, never its path or query, which hold what people look for."""
    # That an order does not exist is an answer: clients ask until it does, as often as they like.
    as_asked = status < _FIRST_ERROR or (status == _NOT_FOUND and "path_template" in scope)
    quiet = as_asked and not more and not has_effect(scope)
    if quiet and not _stdlib_log.isEnabledFor(logging.DEBUG):
        return  # a fifth of the time of a hot read would go into making a line and dropping it
    (log.debug if quiet else log.info)(
        "request",
        method=scope["method"],
        route=scope.get("path_template") or "unknown",
        status=status,
        ms=round((perf_counter() - began) * 1000, 1),
        **more,
    )
