"""Assembles the ASGI application from the use cases."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from litestar import Litestar, Request, Response

from orders.config import Settings
from orders.entrypoints.audit import Audit
from orders.entrypoints.http import health, metrics, request_id, routes
from orders.entrypoints.http.access import login
from orders.entrypoints.http.access.access import Access
from orders.entrypoints.http.access.door import AccessDoor
from orders.entrypoints.http.access.principal import guard
from orders.entrypoints.http.asgi_types import ASGIApp
from orders.entrypoints.http.bodies import RequestBodies
from orders.entrypoints.http.docs import api_docs
from orders.entrypoints.http.docs.asyncapi.document import asyncapi_document
from orders.entrypoints.http.docs.openapi.document import openapi_document
from orders.entrypoints.http.error_responses import error_response
from orders.entrypoints.http.lifespan import Lifespan, LifespanGuard, nothing_to_open
from orders.entrypoints.http.middleware import RequestContextMiddleware
from orders.entrypoints.http.orders import (
    get_order,
    list_orders,
    order_events,
    post_orders,
    random_orders,
)
from orders.entrypoints.http.orders.forget_order import ForgetOrder
from orders.entrypoints.http.orders.get_order import GetOrder
from orders.entrypoints.http.origin_checks import AllowedHosts
from orders.entrypoints.http.page import routes as page_routes
from orders.entrypoints.http.use_cases import UseCases


def create_app(
    use_cases: UseCases,
    settings: Settings | None = None,
    lifespan: Lifespan = nothing_to_open,
    *,
    audit: Audit | None = None,
) -> ASGIApp:
    """Create the application for any ASGI server; it opens nothing before its lifespan.

    Args:
        use_cases: the use cases that the routes call.
        settings: bounds of requests, and names of the topics for the AsyncAPI document.
        lifespan: opens and closes what the use cases need.
        audit: where to record who reads, sends and forgets orders.
    """
    settings = settings or Settings()
    hosts = AllowedHosts(settings.allowed_hosts)
    new_ids = request_id.IdSource()
    access = Access(settings)
    framework = create_framework_app(use_cases, settings, access, audit)
    app = LifespanGuard(
        RequestContextMiddleware(framework, new_ids, hosts), partial(_open, lifespan, access)
    )
    orders = GetOrder(
        app,
        use_cases.look_up,
        new_ids,
        hosts,
        is_protected=access.is_protected,
        forget=ForgetOrder(use_cases.forget, audit, is_protected=access.is_protected),
        audit=audit,
    )
    return AccessDoor(orders, access, new_ids) if access.is_needed else orders


def create_framework_app(
    use_cases: UseCases,
    settings: Settings,
    access: Access | None = None,
    audit: Audit | None = None,
) -> Litestar:
    """Create the Litestar part: all routes but GET of one order, and the API documents."""
    access = access or Access(settings)
    app = Litestar(
        [
            # Before the other routes of these paths, else Litestar adds OPTIONS of its own.
            routes.options("/orders", "GET, HEAD, OPTIONS, POST"),
            routes.options("/random/{amount:str}", "GET, OPTIONS, POST"),
            *page_routes.routes(
                settings.random_max, settings.page_money, has_sessions=access.is_protected
            ),
            *(login.routes(access) if access.is_protected else ()),
            list_orders.route(use_cases.list_orders, audit),
            order_events.route(use_cases.watch, audit),
            post_orders.route(
                use_cases.publish_document,
                RequestBodies(settings.http_max_body, settings.http_body_timeout),
                access.admit,
                audit,
            ),
            *random_orders.routes(
                use_cases.publish_random, settings.random_max, access.admit, audit
            ),
            *health.routes(use_cases.readiness),
            *([metrics.route()] if settings.http_metrics else ()),
        ],
        guards=[guard] if access.is_protected else [],
        exception_handlers={Exception: _to_response},
        openapi_config=None,  # see openapi.schemas
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    openapi = partial(
        openapi_document,
        app,
        *get_order.DOCUMENTED,
        is_protected=access.is_protected,
        is_limited=access.is_limited,
    )
    for handler in api_docs.routes(openapi, partial(asyncapi_document, settings)):
        app.register(handler)
    return app


@asynccontextmanager
async def _open(lifespan: Lifespan, access: Access) -> AsyncIterator[None]:
    async with lifespan(), access.running():
        yield


def _to_response(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    found = error_response(error, request.scope)
    return Response(
        b"" if request.method == "HEAD" else found.body,
        status_code=found.status,
        headers={name.decode(): value.decode() for name, value in found.headers},
    )
