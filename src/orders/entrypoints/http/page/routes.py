"""Routes of the page and its assets."""

from collections.abc import Iterable
from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from orders.entrypoints.http.access.scopes import NOTHING, declared
from orders.entrypoints.http.page import home_page
from orders.entrypoints.http.page.assets import PREFIX, by_path
from orders.entrypoints.http.page.languages import LANGUAGES, set_language_cookie
from orders.entrypoints.http.problems import UNKNOWN_PATH, HTTPProblem
from orders.entrypoints.http.responses import NO_STORE, RawResponse
from orders.entrypoints.http.routes import READ

_OPEN: dict[str, Any] = {"include_in_schema": False, "opt": declared(NOTHING)}
"""They hold no data: the page fetches all of it from the API, with the session of its reader."""


def routes(
    random_max: int, money: str, *, has_sessions: bool = False
) -> Iterable[HTTPRouteHandler]:
    """Create the routes, which are not in the OpenAPI document.

    Args:
        random_max: the most random orders at a time.
        money: the unit of amounts, "major" or "minor".
        has_sessions: whether readers log in, and can log out.
    """

    @READ("/", **_OPEN)
    async def get_page(request: Request[Any, Any, Any]) -> RawResponse:
        scope = request.scope
        return home_page.home_page(
            scope["query_string"], scope["headers"], random_max, money, has_sessions=has_sessions
        )

    return [get_page, _get_asset, _choose_language]


@READ(PREFIX + "{name:str}", **_OPEN)
async def _get_asset(request: Request[Any, Any, Any], name: FromPath[str]) -> RawResponse:
    file = by_path().get(PREFIX + name)
    if file is None:
        raise HTTPProblem(UNKNOWN_PATH, "no such file, or one of another version")
    return file.response_to(list(request.scope["headers"]))


@READ("/language/{language:str}", **_OPEN)
async def _choose_language(request: Request[Any, Any, Any], language: FromPath[str]) -> RawResponse:
    """Set the language cookie and redirect to the page, with the same order or list."""
    if language not in LANGUAGES:
        raise HTTPProblem(UNKNOWN_PATH, "no such language")
    target = home_page.requested_path(request.scope["query_string"])
    location = (b"location", target.encode())
    length = (b"content-length", b"0")
    return RawResponse(303, (location, length, set_language_cookie(language), NO_STORE))
