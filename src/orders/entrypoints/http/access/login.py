"""The page to log in with a key, and the end of a session."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from litestar import Request
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from orders.entrypoints.http.access.access import Access
from orders.entrypoints.http.access.credentials import Denied, is_sane
from orders.entrypoints.http.access.principal import attach_principal, client_of
from orders.entrypoints.http.access.scopes import NOTHING, declared
from orders.entrypoints.http.access.sessions import end
from orders.entrypoints.http.asgi_types import Scope
from orders.entrypoints.http.bodies import RequestBodies
from orders.entrypoints.http.page import document
from orders.entrypoints.http.page.home_page import requested_path, switch_path
from orders.entrypoints.http.page.languages import LANGUAGES, VARY, language_of, translations
from orders.entrypoints.http.responses import NO_STORE, Header, RawResponse, header_values
from orders.entrypoints.http.routes import READ, WRITE

PATH = "/login"
_MAX_FORM = 16_384
_FORM_SECONDS = 10.0
_OPEN: dict[str, Any] = {"include_in_schema": False, "opt": declared(NOTHING)}


def routes(access: Access) -> Iterable[HTTPRouteHandler]:
    """Create the routes, which are not in the OpenAPI document."""
    authenticator, sessions = access.authenticator, access.sessions
    assert authenticator is not None, "there are keys or tokens to log in with"
    assert sessions is not None, "there are sessions with each authenticator"
    bodies = RequestBodies(_MAX_FORM, _FORM_SECONDS)

    @READ(PATH, **_OPEN)
    async def get_login(request: Request[Any, Any, Any]) -> RawResponse:
        scope = request.scope
        return _page(scope, requested_path(scope["query_string"]))

    @WRITE(PATH, **_OPEN)
    async def post_login(request: Request[Any, Any, Any]) -> RawResponse:
        scope = request.scope
        if not header_values(scope["headers"], b"content-length"):
            # Chunks of one byte, from clients without a key, would take too long to read.
            raise HTTPException(status_code=HTTPStatus.LENGTH_REQUIRED)
        async with bodies.read(scope, request.receive) as body:
            form = _parse(body)
        path = requested_path(form.get("page", "").partition("?")[2].encode())
        try:
            credential = _credential(form)
            grant = authenticator.known(credential) or await access.verified(
                authenticator, credential, client_of(scope)
            )
        except Denied as denied:
            access.deny(scope, denied)
            return _page(scope, path, "error_text_login", status=401)
        attach_principal(scope, grant.principal)  # for the log
        return _redirect(path, sessions.begin(grant, is_secure=_is_secure(scope)))

    @WRITE("/logout", **_OPEN)
    async def post_logout(request: Request[Any, Any, Any]) -> RawResponse:
        return _redirect(PATH, end(is_secure=_is_secure(request.scope)))

    return [get_login, post_login, post_logout]


def _credential(form: dict[str, str]) -> bytes:
    """Return what may be a key or token; raises Denied if it cannot be one."""
    credential = form.get("key", "").strip().encode()
    if not is_sane(credential):
        raise Denied("malformed")
    return credential


def _page(scope: Scope, path: str, fault: str = "", status: int = 200) -> RawResponse:
    language = language_of(scope["headers"])
    other = next(one for one in LANGUAGES if one != language)
    body = document.rendered(
        "login.html",
        language,
        page_path=path,
        switch_path=switch_path(other, path),
        fault=translations(language)[fault] if fault else "",
    )
    return RawResponse.of(
        body,
        NO_STORE,
        (b"vary", VARY),
        *document.PAGE_HEADERS,
        media_type=document.MEDIA_TYPE,
        status=status,
    )


def _redirect(path: str, cookie: Header) -> RawResponse:
    location, length = (b"location", path.encode()), (b"content-length", b"0")
    return RawResponse(303, (location, length, cookie, NO_STORE))


def _parse(body: bytes) -> dict[str, str]:
    try:
        parsed = parse_qs(body.decode(), max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in parsed.items()}


def _is_secure(scope: Scope) -> bool:
    return bool(scope.get("scheme") == "https")
