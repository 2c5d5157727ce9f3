"""The one door to all routes: authenticates requests, and holds clients to their limits."""

from collections.abc import Coroutine
from time import perf_counter
from typing import Any

from orders.entrypoints.http import request_id as ids
from orders.entrypoints.http.access.access import Access
from orders.entrypoints.http.access.credentials import Denied
from orders.entrypoints.http.access.principal import (
    attach_client,
    attach_denial,
    attach_principal,
    client_of,
    counted_as,
    principal_of,
)
from orders.entrypoints.http.asgi_types import WRITE_NOW, Message, Receive, Scope, Send
from orders.entrypoints.http.error_responses import error_response
from orders.entrypoints.http.middleware import begin_request, complete_headers, record_request
from orders.entrypoints.http.orders.get_order import PATH_TEMPLATE, GetOrder
from orders.entrypoints.http.orders.order_path import has_order_uid, raw_path
from orders.entrypoints.http.responses import RawResponse

UNLIMITED = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Paths that need no key and have no limit: a probe that is refused would restart the process."""

_COUNTED_AS = "orders.counted_as"
"""The key in the scope of a request for the name under which limits have counted its client."""


class AccessDoor:
    """An ASGI application that stands before all others, where the settings ask for any of it.

    It only finds out who sends a request. Each route says by itself what it requires, and is
    checked after the routing: no form of a path leads to a route without its check.
    """

    def __init__(self, app: GetOrder, access: Access, new_ids: ids.IdSource) -> None:
        self._app = app
        self._access = access
        self._ids = new_ids

    def respond(self, scope: Scope) -> RawResponse | Coroutine[Any, Any, RawResponse] | None:
        """As ``GetOrder.respond``."""
        if not has_order_uid(raw_path(scope)):
            return None
        began = perf_counter()
        try:
            credential = self._identify(scope)
            if credential is None:
                self._enter(scope)
        except Exception as error:  # noqa: BLE001 (each has a response)
            return self._refused(error, began, scope)
        if credential is not None:
            return self._respond_later(credential, began, scope)
        response = self._app.respond(scope)
        if isinstance(response, RawResponse):
            self._leave(scope)
            return response
        return self._leave_after(response, scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request within the limits of its client."""
        if scope["type"] == "websocket":  # there are none, and Litestar would answer like HTTP
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] in UNLIMITED:
            attach_denial(scope, "missing", is_logged=False)  # no key is looked for
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        try:
            credential = self._identify(scope)
            if credential is not None:
                await self._verify(credential, scope)
            self._enter(scope)
        except Exception as error:  # noqa: BLE001 (each has a response)
            response = await self._refused(error, began, scope)
            await response(scope, receive, send)
            return
        try:
            await self._app(scope, receive, self._while_valid(scope, send))
        finally:
            self._leave(scope)

    def _while_valid(self, scope: Scope, send: Send) -> Send:
        """Return a ``send`` that ends a long response when the key, token or session ends.

        The first part of each is sent: what a request has done is not kept from its client.
        """
        access, principal = self._access, principal_of(scope)
        if principal is None:
            return send
        has_begun = False

        async def send_while_valid(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.body":
                if has_begun:
                    await access.check_again(scope)
                has_begun = True
            await send(message)

        if (write_now := scope.get(WRITE_NOW)) is not None:
            scope[WRITE_NOW] = lambda part: (
                access.identify(scope["headers"]) == principal and write_now(part)
            )
        return send_while_valid

    async def _respond_later(self, credential: bytes, began: float, scope: Scope) -> RawResponse:
        try:
            await self._verify(credential, scope)
            self._enter(scope)
        except Exception as error:  # noqa: BLE001 (each has a response)
            return await self._refused(error, began, scope)
        return await self._leave_after(self._app.respond(scope), scope)

    async def _leave_after(
        self, response: RawResponse | Coroutine[Any, Any, RawResponse] | None, scope: Scope
    ) -> RawResponse:
        assert response is not None, "there is an order_uid"
        try:
            return response if isinstance(response, RawResponse) else await response
        finally:
            self._leave(scope)

    def _identify(self, scope: Scope) -> bytes | None:
        """Attach the client and its principal, or why there is none, to the request.

        Returns a key or token that has to be verified first.
        """
        access = self._access
        attach_client(scope, access.proxies.resolve(scope))
        if access.authenticator is None:
            return None
        try:
            found = access.identify(scope["headers"])
        except Denied as denied:
            access.deny(scope, denied)
            access.count_failure(client_of(scope))
            return None
        if isinstance(found, bytes):
            return found
        if found is None:
            attach_denial(scope, "missing", is_logged=False)
        else:
            attach_principal(scope, found)
        return None

    async def _verify(self, credential: bytes, scope: Scope) -> None:
        access = self._access
        assert access.authenticator is not None, "it did not know the credential"
        try:
            grant = await access.verified(access.authenticator, credential, client_of(scope))
        except Denied as denied:
            access.deny(scope, denied)
        else:
            attach_principal(scope, grant.principal)

    def _enter(self, scope: Scope) -> None:
        """Count the request for its client; raises HTTPProblem if there are too many of it."""
        access = self._access
        who = counted_as(scope) if access.is_limited else ""
        if access.rates is not None:
            access.rates.count(who)
        # Without a key only the page and logins are served, which readers share an address for.
        is_counted = not access.is_protected or principal_of(scope) is not None
        if access.concurrency is not None and is_counted:
            access.concurrency.enter(who)
            scope[_COUNTED_AS] = who

    def _leave(self, scope: Scope) -> None:
        if self._access.concurrency is not None and _COUNTED_AS in scope:
            self._access.concurrency.leave(scope[_COUNTED_AS])

    async def _refused(self, error: Exception, began: float, scope: Scope) -> RawResponse:
        request_id = self._ids.taken_or_made(scope["headers"])
        begin_request(scope, request_id)
        if has_order_uid(raw_path(scope)):  # alerts tell look-ups by it
            scope["path_template"] = PATH_TEMPLATE
        found = error_response(error, scope)
        record_request(scope, found.status, began, request_id)
        headers = complete_headers(found.headers, request_id)
        return RawResponse(found.status, headers, found.body)
