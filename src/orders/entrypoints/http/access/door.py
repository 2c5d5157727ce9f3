"""The one door to all routes: authenticates requests, and holds clients to their limits."""

import hashlib
from time import perf_counter

from orders.entrypoints.http import request_id as ids
from orders.entrypoints.http.access.access import Access
from orders.entrypoints.http.access.clients import group
from orders.entrypoints.http.access.credentials import Denied, bearer
from orders.entrypoints.http.access.principal import (
    Principal,
    attach_client,
    attach_denial,
    attach_principal,
)
from orders.entrypoints.http.asgi_types import ASGIApp, Receive, Scope, Send
from orders.entrypoints.http.error_responses import error_response
from orders.entrypoints.http.middleware import begin_request, complete_headers, record_request
from orders.entrypoints.http.responses import RawResponse

UNLIMITED = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Paths that need no key and have no limit: a probe that is refused would restart the process."""


class AccessDoor:
    """An ASGI application that stands before all others, where the settings ask for any of it.

    It only finds out who sends a request. Each route says by itself what it requires, and is
    checked after the routing: no form of a path leads to a route without its check.
    """

    def __init__(self, app: ASGIApp, access: Access, new_ids: ids.IdSource) -> None:
        self._app = app
        self._access = access
        self._ids = new_ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request within the limits of its client."""
        if scope["type"] == "websocket":  # there are none, and Litestar would answer like HTTP
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http" or scope["path"] in UNLIMITED:
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        access = self._access
        address = access.proxies.resolve(scope)
        attach_client(scope, address)
        concurrency, who = access.concurrency, ""
        try:
            principal = await self._identify(scope, address)
            if access.rates is not None or concurrency is not None:
                who = _name(principal, address)
            if access.rates is not None:
                access.rates.count(who)
            if concurrency is not None:
                concurrency.enter(who)
        except Exception as error:  # noqa: BLE001 (each has a response)
            await self._refuse(error, began, scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            if concurrency is not None:
                concurrency.leave(who)

    async def _identify(self, scope: Scope, address: str) -> Principal | None:
        """Attach the principal to the request, or why there is none, and return it.

        A key or token in the header counts alone, also if there is a session besides.
        """
        access = self._access
        authenticator = access.authenticator
        if authenticator is None:
            return None
        try:
            credential = bearer(scope["headers"])
            if credential is not None:
                grant = authenticator.known(credential) or await access.verified(
                    authenticator, credential, address
                )
                principal = grant.principal
            else:
                assert access.sessions is not None, "there are sessions with each authenticator"
                found = access.sessions.principal_of(scope["headers"])
                if found is None:
                    return None
                principal = found
        except Denied as denied:
            attach_denial(scope, denied.reason)
            return None
        attach_principal(scope, principal)
        return principal

    async def _refuse(
        self, error: Exception, began: float, scope: Scope, receive: Receive, send: Send
    ) -> None:
        request_id = self._ids.taken_or_made(scope["headers"])
        begin_request(scope, request_id)
        found = error_response(error, scope)
        headers = complete_headers(found.headers, request_id)
        await RawResponse(found.status, headers, found.body)(scope, receive, send)
        record_request(scope, found.status, began, request_id)


def _name(principal: Principal | None, address: str) -> str:
    """Return the name under which limits count a client, and which may be logged."""
    if principal is None:
        return group(address)
    if principal.is_personal:
        return "token " + hashlib.sha256(principal.id.encode()).hexdigest()[:16]
    return "key " + principal.id
