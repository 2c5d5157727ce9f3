"""The request context: request id, security headers and the log line of each request."""

import logging
from collections.abc import Callable, Iterable
from http import HTTPMethod
from time import perf_counter
from typing import NoReturn

import structlog
from litestar.exceptions import LitestarException
from msgspec import Struct
from structlog.contextvars import bind_contextvars

from orders.domain.errors import OrdersError
from orders.entrypoints.http import request_id as ids
from orders.entrypoints.http.access.principal import is_left_out, logged_about
from orders.entrypoints.http.asgi_types import ASGIApp, Message, Receive, Scope, Send
from orders.entrypoints.http.error_responses import error_response
from orders.entrypoints.http.origin_checks import AllowedHosts
from orders.entrypoints.http.problems import UNKNOWN_PATH, HTTPProblem
from orders.entrypoints.http.responses import Header
from orders.entrypoints.http.routes import has_effect
from orders.metrics import REQUESTS

_POLICY = b"content-security-policy"
_SECURITY: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_PAGE = (*_SECURITY, (_POLICY, b"default-src 'none'; frame-ancestors 'none'"))
"""Security headers of a response that is not a page."""
_METHODS = frozenset(HTTPMethod)
"""The methods that are logged and counted; others may be of any length."""
_HEALTH = "/health/"
_LONGEST_PATH = 255
"""Characters. Litestar remembers the last 1,024 paths that led to a route, of whatever length."""
_FIRST_ERROR = 400
_NOT_FOUND = 404
_TOO_MANY_REQUESTS = 429
_FIRST_SERVER_ERROR = 500

_kinds: "dict[tuple[str | None, str, int], _Kind]" = {}

_log = structlog.get_logger("orders.http")
_is_logged = logging.getLogger("orders.http").isEnabledFor


class TransferBroken(Exception):
    """A response that cannot be finished; makes the server abort the transfer."""


class RequestContextMiddleware:
    """ASGI middleware that turns every error into a response.

    ``new_ids`` makes the ids of requests that come without one; ``hosts`` checks their Host.
    """

    def __init__(self, app: ASGIApp, new_ids: ids.IdSource, hosts: AllowedHosts) -> None:
        self._app = app
        self._ids = new_ids
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; raises TransferBroken when it fails after its response has begun."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        request_id = self._ids.taken_or_made(scope["headers"])
        begin_request(scope, request_id)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = complete_headers(message["headers"], request_id)
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 (each has a response)
            if status:
                # Litestar wraps errors that occur while it sends.
                cause = error.__cause__ if isinstance(error, LitestarException) else None
                _break_off(scope, status, began, request_id, cause or error)
            await error_response(error, scope)(scope, receive, send_with_headers)
        record_request(scope, status, began, request_id)

    def _check(self, scope: Scope) -> None:
        if not scope["path"].startswith(_HEALTH):  # probes use addresses
            self._hosts.check(scope["headers"], dict(scope["headers"]))
        if "//" in scope["path"]:  # Litestar would ignore empty segments
            raise HTTPProblem(UNKNOWN_PATH, "a path has no empty segments")
        if len(scope["path"]) > _LONGEST_PATH:
            raise HTTPProblem(UNKNOWN_PATH, "no path is as long as this")


def begin_request(scope: Scope, request_id: bytes) -> None:
    """Attach the id to the request and to all its log lines, unless that is done already."""
    if not ids.is_attached(scope):
        text = request_id.decode()
        ids.attach(scope, text)
        bind_contextvars(request_id=text)  # in the context of the request's own task


def complete_headers(headers: Iterable[Header], request_id: bytes) -> tuple[Header, ...]:
    """Add the security headers and the request id to the headers of a response."""
    security = _SECURITY if any(name == _POLICY for name, _ in headers) else NO_PAGE
    return (*headers, *security, (ids.HEADER, request_id))


class _Kind(Struct, frozen=True, gc=False):
    """What requests of a route, a method and a status have in common."""

    method: str
    route: str
    observe: Callable[[float], None]
    is_quiet: bool


def record_request(
    scope: Scope, status: int, began: float, request_id: bytes, broken_off: str = ""
) -> None:
    """Count a request, and log it by its route: path and query may hold personal data.

    ``began`` is a value of ``perf_counter``. ``broken_off``: why the response is not finished.
    """
    seconds = perf_counter() - began
    key = scope.get("path_template"), scope["method"], status
    kind = _kinds.get(key)
    if kind is None:
        kind = _kind_of(scope, status)
        if scope["method"] in _METHODS:  # of others there may be any number
            _kinds[key] = kind
    kind.observe(seconds)
    quiet = kind.is_quiet and not broken_off
    if not quiet and status < _FIRST_SERVER_ERROR:
        quiet = is_left_out(scope)
    if quiet and not _is_logged(logging.DEBUG):
        return  # on the hot path: structlog would build the line before it drops it
    (_log.debug if quiet else _log.info)(
        "request",
        method=kind.method,
        route=kind.route,
        status=status,
        ms=round(seconds * 1000, 1),
        request_id=request_id.decode(),
        **logged_about(scope),
        **({"broken_off": broken_off} if broken_off else {}),
    )


def _kind_of(scope: Scope, status: int) -> _Kind:
    method = scope["method"] if scope["method"] in _METHODS else "other"
    route = scope.get("path_template") or "unknown"
    # Clients poll for orders that do not exist yet, so such a 404 is a normal response.
    is_normal = status < _FIRST_ERROR or (status == _NOT_FOUND and "path_template" in scope)
    # A client that is limited has a line of its own, and so has a server that is down. Anybody may
    # ask for health, without a limit, and must not fill the log.
    is_quiet = (
        (is_normal and not has_effect(scope))
        or status == _TOO_MANY_REQUESTS
        or route.startswith(_HEALTH)
    )
    return _Kind(method, route, REQUESTS.series(route, method, status).observe, is_quiet)


def _break_off(
    scope: Scope, status: int, began: float, request_id: bytes, error: BaseException
) -> NoReturn:
    foreseen = isinstance(error, OrdersError | HTTPProblem)
    if not foreseen:
        _log.error("unforeseen error", exc_info=error)
    reason = str(error) if foreseen else "unforeseen error"
    record_request(scope, status, began, request_id, broken_off=reason)
    raise TransferBroken from None
