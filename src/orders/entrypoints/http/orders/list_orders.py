"""GET /orders: pages of orders, or all of them as a stream."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from orders.domain.order.document import StoredOrder
from orders.domain.order.queries import Page
from orders.domain.use_cases.list_orders import ListOrders
from orders.entrypoints.audit import Audit
from orders.entrypoints.http.access.principal import counted_as
from orders.entrypoints.http.docs import operations
from orders.entrypoints.http.docs.openapi.operation import documented
from orders.entrypoints.http.negotiation import acceptable
from orders.entrypoints.http.orders import list_request
from orders.entrypoints.http.orders.list_request import ListRequest
from orders.entrypoints.http.orders.order_stream import (
    ARRAY,
    HEADERS,
    LINES,
    Form,
    OrderStream,
)
from orders.entrypoints.http.request_audit import record, recorded_failure
from orders.entrypoints.http.responses import RawResponse
from orders.entrypoints.http.routes import READ

_order_uid = attrgetter("order_uid")
_FORMS = {form.media_type.decode(): form for form in (ARRAY, LINES)}


def route(list_orders: ListOrders, audit: Audit | None = None) -> HTTPRouteHandler:
    """Create the route; ``audit`` as in ``create_app``."""

    @READ("/orders", **documented(operations.LIST_ORDERS))
    async def get_orders(request: Request[Any, Any, Any]) -> ASGIApp:
        form = _form(request)
        parsed = list_request.parse(request.scope["query_string"])
        scope: Any = request.scope
        client = counted_as(scope)

        def listed(orders: Sequence[StoredOrder]) -> None:
            record(audit, "listed", scope, map(_order_uid, orders))

        with recorded_failure(audit, "listed", scope):
            if parsed.limit is None:
                chunks = list_orders.stream(parsed.query, client=client)
                return await OrderStream.start(form, chunks, listed)
            page = await list_orders.page(parsed.query, parsed.limit, parsed.after, client=client)
        listed(page.orders)
        return _response(page, parsed, form)

    return get_orders


def _response(page: Page, parsed: ListRequest, form: Form) -> RawResponse:
    link = ((b"link", parsed.next_link(page.next)),) if page.next else ()
    return RawResponse.of(form.join(page.orders), *link, *HEADERS, media_type=form.media_type)


def _form(request: Request[Any, Any, Any]) -> Form:
    return _FORMS[acceptable(request.scope["headers"], tuple(_FORMS))]
