"""GET and HEAD /orders/{order_uid}: the bytes of one order."""

from collections.abc import Iterable
from typing import Any

from litestar import Request
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from orders.domain.errors import NotFound
from orders.domain.use_cases.look_up_order import LookUpOrder
from orders.entrypoints.http import operations
from orders.entrypoints.http.answer import Answer, Header
from orders.entrypoints.http.asgi_types import ASGIApp, Receive, Scope, Send
from orders.entrypoints.http.etag import etag, is_known
from orders.entrypoints.http.openapi.operation import documented
from orders.entrypoints.http.order_path import PREFIX, decoded, raw_path
from orders.entrypoints.http.problems import UNKNOWN_PATH, RequestRefused
from orders.entrypoints.http.routes import READ

TEMPLATE = "/orders/{order_uid}"

CACHE_CONTROL = (b"cache-control", b"private, max-age=3600")
"""Orders never change, but they hold personal data: no shared cache keeps them, none for long."""

_METHODS = "GET, HEAD, OPTIONS"
_OPTIONS = Answer(204, ((b"allow", _METHODS.encode()),))


async def answer(look_up: LookUpOrder, order_uid: str, headers: Iterable[Header]) -> Answer:
    """The order as it is stored, or 304 where the client has it.

    Raises:
        NotFound: there is no such order.
        Unavailable: nobody can say now.
    """
    if "\0" in order_uid:
        raise NotFound("no order_uid holds U+0000")
    document = await look_up(order_uid)
    tag = etag(document)
    if is_known(headers, tag):
        return Answer(304, ((b"etag", tag), CACHE_CONTROL))
    return Answer.of(document, (b"etag", tag), CACHE_CONTROL)


def route(look_up: LookUpOrder) -> HTTPRouteHandler:
    """The route as Litestar sees it, which is also the one in the OpenAPI document."""

    @READ("/orders/{order_uid:str}", **documented(operations.GET_ORDER))
    async def get_order(request: Request[Any, Any, Any], order_uid: FromPath[str]) -> Answer:
        del order_uid  # decoded leniently
        segment = raw_path(request.scope).removeprefix(PREFIX)
        return await answer(look_up, decoded(segment), request.scope["headers"])

    return get_order


class OneOrderShortcut:
    """Answers everything below /orders/ itself and hands the rest to ``app``.

    It stands before the framework for two reasons: routing, request objects and providers cost
    more than the look-up of an order that is at hand, and the framework routes by the decoded
    path, in which not every uid can be told.
    """

    def __init__(self, app: ASGIApp, look_up: LookUpOrder) -> None:
        self._app = app
        self._look_up = look_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; raises what ``problems.answer_to`` knows to answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = raw_path(scope)
        segment = path[len(PREFIX) :]
        if not segment or not path.startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        if b"/" in segment:
            raise RequestRefused(UNKNOWN_PATH, "a slash in an order_uid is written %2F")
        scope["path_template"] = TEMPLATE
        method = scope["method"]
        if method in {"GET", "HEAD"}:
            found = await answer(self._look_up, decoded(segment), scope["headers"])
        elif method == "OPTIONS":
            found = _OPTIONS
        else:
            raise MethodNotAllowedException(headers={"allow": _METHODS})
        await found(scope, receive, send)
