"""How routes are declared."""

from functools import partial

from litestar.handlers import HTTPRouteHandler

from orders.entrypoints.http.answer import Answer

READ = partial(HTTPRouteHandler, http_method=("GET", "HEAD"))
"""A route that answers GET, and HEAD with the same headers."""

READ_WITH_EFFECT = partial(HTTPRouteHandler, http_method="GET")
"""A route whose GET does something; HEAD, which must not, does not apply."""

WRITE = partial(HTTPRouteHandler, http_method="POST")


def options(path: str, methods: str) -> HTTPRouteHandler:
    """OPTIONS for a path with several routes, of which Litestar would tell the first alone."""

    @HTTPRouteHandler(path, http_method="OPTIONS", include_in_schema=False)
    async def get_options() -> Answer:
        return Answer(204, ((b"allow", methods.encode()),))

    return get_options
