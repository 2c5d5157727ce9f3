"""GET /orders: pages of orders, or all of them as a stream."""

from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from orders.domain.use_cases.list_orders import ListOrders
from orders.entrypoints.http.docs import operations
from orders.entrypoints.http.docs.openapi.operation import documented
from orders.entrypoints.http.negotiation import acceptable
from orders.entrypoints.http.orders import list_request
from orders.entrypoints.http.orders.list_request import ListRequest
from orders.entrypoints.http.orders.order_stream import ARRAY, HEADERS, LINES, Form, OrderStream
from orders.entrypoints.http.responses import RawResponse
from orders.entrypoints.http.routes import READ

_FORMS = {form.media_type.decode(): form for form in (ARRAY, LINES)}


def route(list_orders: ListOrders, reader_timeout: float) -> HTTPRouteHandler:
    """Create the route; ``reader_timeout`` as in ``create_app``."""

    @READ("/orders", **documented(operations.LIST_ORDERS))
    async def get_orders(request: Request[Any, Any, Any]) -> ASGIApp:
        form = _form(request)
        parsed = list_request.parse(request.scope["query_string"])
        if parsed.limit is None:
            return await OrderStream.start(form, list_orders.stream(parsed.query), reader_timeout)
        return await _page(list_orders, parsed, parsed.limit, form)

    return get_orders


async def _page(
    list_orders: ListOrders, parsed: ListRequest, limit: int, form: Form
) -> RawResponse:
    page = await list_orders.page(parsed.query, limit, parsed.after)
    link = ((b"link", parsed.next_link(page.next)),) if page.next else ()
    return RawResponse.of(form.join(page.orders), *link, *HEADERS, media_type=form.media_type)


def _form(request: Request[Any, Any, Any]) -> Form:
    return _FORMS[acceptable(request.scope["headers"], tuple(_FORMS))]
