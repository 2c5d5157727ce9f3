"""Who sends a request, what it may do, and from where it comes."""

import hashlib
from typing import Literal

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from orders.entrypoints.http.access.clients import group
from orders.entrypoints.http.access.scopes import ANY_KEY, NOTHING, Requirement, requirement_of
from orders.entrypoints.http.asgi_types import Scope
from orders.entrypoints.http.problems import FORBIDDEN, UNAUTHORIZED, HTTPProblem

Denial = Literal["missing", "malformed", "not valid", "expired"]
"""Why a request has no principal. It is logged, and the client is not told."""

_PRINCIPAL = "orders.principal"
_CLIENT = "orders.client"
_DENIAL = "orders.denial"
_IS_LOGGED = "orders.denial_is_logged"
_REALM = 'Bearer realm="orders"'


class Principal(Struct, frozen=True):
    """Who sends a request.

    Attributes:
        id: the id of a key, or the subject of a token.
        scopes: what it may do.
        is_personal: whether the id may name a person, as a subject may; it is not logged then.
    """

    id: str
    scopes: frozenset[str]
    is_personal: bool = False


def attach_client(scope: Scope, address: str) -> None:
    """Attach the client's address to a request."""
    scope[_CLIENT] = address


def client_of(scope: Scope) -> str:
    """Return the client's address; that of the connection if proxies play no part."""
    attached: str | None = scope.get(_CLIENT)
    if attached is not None:
        return attached
    peer = scope.get("client")
    return str(peer[0]) if peer else ""


def attach_principal(scope: Scope, principal: Principal) -> None:
    """Attach the principal to a request, in place of a denial: a login comes without a key."""
    scope[_PRINCIPAL] = principal
    scope.pop(_DENIAL, None)


def principal_of(scope: Scope) -> Principal | None:
    """Return the principal of a request; None without a valid key, or without access control."""
    found: Principal | None = scope.get(_PRINCIPAL)
    return found


def counted_as(scope: Scope) -> str:
    """Return the name under which limits count the client, and which may be logged."""
    principal = principal_of(scope)
    if principal is None:
        return group(client_of(scope))
    if principal.is_personal:
        return "token " + hashlib.sha256(principal.id.encode()).hexdigest()[:16]
    return "key " + principal.id


def attach_denial(scope: Scope, denial: Denial, *, is_logged: bool) -> None:
    """Attach the reason why a request has no principal, and whether its refusal is logged."""
    scope[_DENIAL] = denial
    scope[_IS_LOGGED] = is_logged


def is_left_out(scope: Scope) -> bool:
    """Whether the refusal of a request is not logged: anybody could fill the log."""
    return _DENIAL in scope and not scope[_IS_LOGGED]


def logged_about(scope: Scope) -> dict[str, str]:
    """Return what the log line of a request says about its client."""
    found = {}
    if _CLIENT in scope:
        found["client"] = client_of(scope)
    principal = principal_of(scope)
    if principal is not None and not principal.is_personal:
        found["key"] = principal.id
    if _DENIAL in scope:
        found["denied"] = scope[_DENIAL]
    return found


def sender(scope: Scope) -> dict[str, str]:
    """Return who sends a request, and from where, for the audit log; see ``Audit.record``."""
    found = {"from": client_of(scope) or "unknown"}
    principal = principal_of(scope)
    if principal is not None:
        found |= (
            {"subject": principal.id} if principal.is_personal else {"who": f"key:{principal.id}"}
        )
    return found


def require(scope: Scope, requirement: Requirement) -> None:
    """Check that the principal of a request may do what ``requirement`` stands for.

    Raises:
        HTTPProblem: 401 without a valid key or token, 403 if it lacks the scope.
    """
    if requirement == NOTHING:
        return
    principal = principal_of(scope)
    if principal is None:
        # An invalid key is not told from one that has expired or was revoked.
        presented = scope.get(_DENIAL, "missing") != "missing"
        challenge = f'{_REALM}, error="invalid_token"' if presented else _REALM
        detail = "the key or token is not valid" if presented else "a key or token is required"
        raise HTTPProblem(UNAUTHORIZED, detail, headers=[(b"www-authenticate", challenge.encode())])
    if requirement != ANY_KEY and requirement not in principal.scopes:
        challenge = f'{_REALM}, error="insufficient_scope", scope="{requirement}"'
        raise HTTPProblem(
            FORBIDDEN,
            f"this takes the scope {requirement}",
            headers=[(b"www-authenticate", challenge.encode())],
        )


def guard(connection: ASGIConnection, handler: BaseRouteHandler) -> None:  # type: ignore[type-arg]
    """Check what the route requires (a Litestar guard, for every route)."""
    require(connection.scope, requirement_of(handler.opt))
