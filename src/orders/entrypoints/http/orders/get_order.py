"""All methods of /orders/{order_uid}: the bytes of one order, or its deletion."""

from collections.abc import Coroutine
from time import perf_counter
from typing import Any

from litestar.exceptions import MethodNotAllowedException

from orders.domain.errors import NotFound
from orders.domain.order.document import hex_digest
from orders.domain.order.rules import ID_MAX_LENGTH
from orders.domain.use_cases.look_up_order import LookUpOrder
from orders.entrypoints.audit import Audit
from orders.entrypoints.http import request_id as ids
from orders.entrypoints.http.access.principal import require
from orders.entrypoints.http.access.scopes import ANY_KEY, NOTHING, READ, Requirement
from orders.entrypoints.http.asgi_types import ASGIApp, Receive, Scope, Send
from orders.entrypoints.http.docs.openapi.operation import RoutedOperation
from orders.entrypoints.http.docs.operations import DELETE_ORDER, GET_ORDER
from orders.entrypoints.http.error_responses import error_response
from orders.entrypoints.http.etag import is_known, tag_of
from orders.entrypoints.http.middleware import (
    NO_PAGE,
    begin_request,
    complete_headers,
    record_request,
)
from orders.entrypoints.http.negotiation import acceptable
from orders.entrypoints.http.orders.forget_order import ForgetOrder
from orders.entrypoints.http.orders.order_path import (
    LONGEST,
    PREFIX,
    decoded,
    has_order_uid,
    raw_path,
)
from orders.entrypoints.http.origin_checks import AllowedHosts
from orders.entrypoints.http.problems import UNKNOWN_PATH, HTTPProblem
from orders.entrypoints.http.request_audit import record
from orders.entrypoints.http.responses import JSON, NO_STORE, CommonHeaders, RawResponse

PATH_TEMPLATE = "/orders/{order_uid}"
DOCUMENTED = (
    RoutedOperation(PATH_TEMPLATE, "get", GET_ORDER),
    RoutedOperation(PATH_TEMPLATE, "delete", DELETE_ORDER),
)

_CACHE_CONTROL = (b"cache-control", b"private, max-age=60")
"""Orders never change, but hold personal data and may be forgotten: only private caches may keep
them, and for a minute."""
_TYPE = (b"content-type", JSON)
_CACHEABLE = (_CACHE_CONTROL, *NO_PAGE)
_REVALIDATED = (
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"authorization, cookie"),
    *NO_PAGE,
)
"""The same where access is controlled: a browser asks each time whether it may still show it."""
_ACCEPT_JSON = frozenset({b"*/*", b"application/json"})
"""The usual values of Accept, which need not be parsed."""
_OFFERED = (JSON.decode(),)
_READS = frozenset({"GET", "HEAD"})
_METHODS = "DELETE, GET, HEAD, OPTIONS"
_REQUIRES: dict[str, Requirement] = {
    "GET": READ,
    "HEAD": READ,
    "OPTIONS": ANY_KEY,
    "DELETE": NOTHING,  # ``ForgetOrder`` checks it, and records a refusal
}
_SLASH = ord("/")  # finding a number in bytes is faster than finding bytes
_ALLOW = (b"allow", _METHODS.encode())


class GetOrder:
    """An ASGI application that serves all paths below /orders/ and passes the rest to ``app``.

    It stands before Litestar, which routes by the decoded path: there ``%2F`` is a slash, so
    different uids look alike. Routing and request objects would also cost ten times as much as
    looking up an order that this process has cached (docs/performance.md).

    ``new_ids`` makes the ids of requests that come without one. With ``is_protected``, each method
    requires what ``_REQUIRES`` says. ``forget`` serves DELETE. Reads are recorded in ``audit``.
    """

    def __init__(
        self,
        app: ASGIApp,
        look_up: LookUpOrder,
        new_ids: ids.IdSource,
        hosts: AllowedHosts,
        *,
        forget: ForgetOrder,
        is_protected: bool = False,
        audit: Audit | None = None,
    ) -> None:
        self._app = app
        self._look_up = look_up
        self._ids = new_ids
        self._hosts = hosts
        self._is_protected = is_protected
        self._cacheable = _REVALIDATED if is_protected else _CACHEABLE
        self._common = CommonHeaders.of(_TYPE, *self._cacheable)
        self._forget = forget
        self._audit = audit

    def respond(self, scope: Scope) -> RawResponse | Coroutine[Any, Any, RawResponse] | None:
        """Return the response to a request, or a coroutine that waits for it.

        There is no need to wait for an order that this process has cached. The coroutine needs a
        task, or another context, of its own. None: the path is not below /orders/.
        """
        path = raw_path(scope)
        if not has_order_uid(path):
            return None
        began = perf_counter()
        given = dict(scope["headers"])  # without repetitions, which few requests have
        own = self._ids
        request_id = own.taken_or_made(scope["headers"]) if ids.HEADER in given else own.new()
        order_uid, failure = "", None
        try:
            order_uid = self._checked(scope, given, path)
            cached = self._look_up.peek(order_uid) if scope["method"] in _READS else None
            if cached is not None:
                found = self._found(scope, given, cached.document, cached.digest, request_id)
                self._record(scope, order_uid, None, request_id)
                record_request(scope, found.status, began, request_id)
                return found
        except Exception as error:  # noqa: BLE001 (each has a response)
            failure = error
        return self._respond_later(scope, order_uid, failure, request_id, began)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; an error becomes a problem response."""
        response = self.respond(scope) if scope["type"] == "http" else None
        if response is None:
            await self._app(scope, receive, send)
            return
        if not isinstance(response, RawResponse):
            response = await response
        await response(scope, receive, send)

    async def _respond_later(
        self,
        scope: Scope,
        order_uid: str,
        failure: Exception | None,
        request_id: bytes,
        began: float,
    ) -> RawResponse:
        begin_request(scope, request_id)
        try:
            if failure is not None:
                raise failure  # noqa: TRY301 (it has the response of any other)
            if scope["method"] in _READS:
                body = await self._look_up(order_uid)
                given = dict(scope["headers"])
                response = self._found(scope, given, body, hex_digest(body), request_id)
            else:
                response = await self._without_body(scope, order_uid, request_id)
        except Exception as error:  # noqa: BLE001 (each has a response)
            found = error_response(error, scope)
            response = RawResponse(
                found.status, complete_headers(found.headers, request_id), found.body
            )
            failure = error.with_traceback(None)  # which leads back here and to the connection
        self._record(scope, order_uid, failure, request_id)
        record_request(scope, response.status, began, request_id)
        return response

    async def _without_body(self, scope: Scope, order_uid: str, request_id: bytes) -> RawResponse:
        """Serve DELETE and OPTIONS."""
        own = (ids.HEADER, request_id)
        if scope["method"] == "OPTIONS":
            return RawResponse(204, (_ALLOW, *NO_PAGE, own))
        await self._forget(order_uid, scope)
        return RawResponse(204, (NO_STORE, *NO_PAGE, own))

    def _checked(self, scope: Scope, given: dict[bytes, bytes], path: bytes) -> str:
        """Return the order_uid of a request that is allowed."""
        self._hosts.check(scope["headers"], given)
        segment = path[len(PREFIX) :]
        if _SLASH in segment:
            raise HTTPProblem(UNKNOWN_PATH, "a slash in an order_uid is written %2F")
        scope["path_template"] = PATH_TEMPLATE
        method = scope["method"]
        requirement = _REQUIRES.get(method)
        if requirement is None:
            raise MethodNotAllowedException(headers={"allow": _METHODS})
        if self._is_protected:  # first: alerts count a 404 as a look-up that was served
            require(scope, requirement)
        return "" if method == "OPTIONS" else _order_uid(segment)

    def _found(
        self,
        scope: Scope,
        given: dict[bytes, bytes],
        body: bytes,
        digest: bytes,
        request_id: bytes,
    ) -> RawResponse:
        """Return the response for an order that was found."""
        if given.get(b"accept", b"*/*") not in _ACCEPT_JSON:
            acceptable(scope["headers"], _OFFERED)
        tag, own = tag_of(digest), (ids.HEADER, request_id)
        if b"if-none-match" in given and is_known(scope["headers"], tag):
            return RawResponse(304, ((b"etag", tag), *self._cacheable, own))
        length = (b"content-length", b"%d" % len(body))
        return RawResponse(200, (length, (b"etag", tag), own), body, self._common)

    def _record(
        self, scope: Scope, order_uid: str, error: Exception | None, request_id: bytes
    ) -> None:
        if self._audit is not None and order_uid and scope["method"] != "DELETE":
            ids.attach(scope, request_id.decode())  # an order of the local cache has none
            record(self._audit, "read", scope, (order_uid,), error)


def _order_uid(segment: bytes) -> str:
    """Return the order_uid in the last segment of a path."""
    if len(segment) > LONGEST:
        raise NotFound(f"an order_uid has at most {ID_MAX_LENGTH} characters")
    order_uid = decoded(segment)
    if "\0" in order_uid:
        raise NotFound("an order_uid cannot contain U+0000")
    return order_uid
