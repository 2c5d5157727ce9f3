"""How routes are declared."""

from functools import partial

from litestar.handlers import HTTPRouteHandler

from orders.entrypoints.http.asgi_types import Scope
from orders.entrypoints.http.origin_checks import refuse_cross_site
from orders.entrypoints.http.responses import RawResponse

READ = partial(HTTPRouteHandler, http_method=("GET", "HEAD"))
"""A route for GET and HEAD."""

READ_WITH_EFFECT = partial(HTTPRouteHandler, http_method="GET", guards=[refuse_cross_site])
"""A route whose GET has an effect, so that there is no HEAD."""

WRITE = partial(HTTPRouteHandler, http_method="POST", guards=[refuse_cross_site])


def has_effect(scope: Scope) -> bool:
    """Whether a request changes something; a GET does if its route has no HEAD."""
    if scope["method"] != "GET":
        return scope["method"] not in {"HEAD", "OPTIONS"}
    handler = scope.get("route_handler")
    return handler is not None and "HEAD" not in handler.http_methods


def options(path: str, methods: str) -> HTTPRouteHandler:
    """Create OPTIONS for a path with several routes; Litestar's own lists only the first."""

    @HTTPRouteHandler(path, http_method="OPTIONS", include_in_schema=False)
    async def get_options() -> RawResponse:
        return RawResponse(204, ((b"allow", methods.encode()),))

    return get_options
