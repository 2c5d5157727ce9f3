"""The ASGI application, from the use cases up."""

from functools import partial
from typing import Any

from litestar import Litestar, Request, Response

from orders.entrypoints.http import health, request_id, routes
from orders.entrypoints.http.asgi_types import ASGIApp
from orders.entrypoints.http.docs import api_docs
from orders.entrypoints.http.docs.asyncapi.document import asyncapi_document
from orders.entrypoints.http.docs.openapi.document import openapi_document
from orders.entrypoints.http.error_responses import error_response
from orders.entrypoints.http.lifespan import Lifespan, LifespanGuard, nothing_to_open
from orders.entrypoints.http.middleware import RequestContextMiddleware
from orders.entrypoints.http.orders import get_order, list_orders, post_orders, random_orders
from orders.entrypoints.http.orders.get_order import GetOrder
from orders.entrypoints.http.page import routes as page_routes
from orders.entrypoints.http.use_cases import Limits, Topics, UseCases


def create_app(
    use_cases: UseCases,
    limits: Limits | None = None,
    lifespan: Lifespan = nothing_to_open,
    *,
    topics: Topics | None = None,
) -> ASGIApp:
    """The application, ready for any ASGI server; nothing is open before its lifespan.

    Args:
        use_cases: what the routes call.
        limits: how much one request may ask for.
        lifespan: makes the context in which the use cases can do their work.
        topics: their names, for the document about them.
    """
    new_ids = request_id.IdSource()
    framework = create_framework_app(use_cases, limits or Limits(), topics or Topics())
    app = LifespanGuard(RequestContextMiddleware(framework, new_ids), lifespan)
    return GetOrder(app, use_cases.look_up, new_ids)


def create_framework_app(use_cases: UseCases, limits: Limits, topics: Topics) -> Litestar:
    """All routes but that of a single order, in Litestar, and the documents about them all."""
    app = Litestar(
        [
            # Before the routes that they tell of, else Litestar has put its own there.
            routes.options("/orders", "GET, HEAD, OPTIONS, POST"),
            routes.options("/random/{amount:str}", "GET, OPTIONS, POST"),
            *page_routes.routes(limits.random_max),
            list_orders.route(use_cases.list_orders, limits.patience),
            post_orders.route(use_cases.publish_document),
            *random_orders.routes(use_cases.publish_random, limits.random_max),
            *health.routes(use_cases.readiness),
        ],
        exception_handlers={Exception: _answer_error},
        request_max_body_size=limits.max_body_bytes,
        openapi_config=None,  # see openapi.schemas
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    for handler in api_docs.routes(
        partial(openapi_document, app, get_order.DOCUMENTED), partial(asyncapi_document, topics)
    ):
        app.register(handler)
    return app


def _answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    answer = error_response(error, request.scope)
    return Response(
        b"" if request.method == "HEAD" else answer.body,
        status_code=answer.status,
        headers={name.decode(): value.decode() for name, value in answer.headers},
    )
