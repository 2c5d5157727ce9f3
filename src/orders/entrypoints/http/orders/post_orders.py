"""POST /orders: check a document as a whole and send its orders to the topic."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler

from orders.domain.order.model import Order
from orders.domain.use_cases.publish_orders import PublishDocument
from orders.entrypoints.audit import Audit
from orders.entrypoints.http import request_id
from orders.entrypoints.http.asgi_types import Scope
from orders.entrypoints.http.bodies import RequestBodies
from orders.entrypoints.http.disconnection import Disconnection
from orders.entrypoints.http.docs import operations
from orders.entrypoints.http.docs.openapi.operation import documented
from orders.entrypoints.http.docs.openapi.schemas import OrderUids
from orders.entrypoints.http.orders.order_path import path_to
from orders.entrypoints.http.problems import UNSUPPORTED_ENCODING, HTTPProblem
from orders.entrypoints.http.request_audit import record, recorded_failure
from orders.entrypoints.http.responses import NO_STORE, RawResponse
from orders.entrypoints.http.routes import WRITE


def route(
    publish: PublishDocument,
    bodies: RequestBodies,
    admit: Callable[[Scope, int], Awaitable[None]],
    audit: Audit | None = None,
) -> HTTPRouteHandler:
    """Create the route; ``bodies`` reads the bodies, ``audit`` as in ``create_app``."""

    @WRITE("/orders", **documented(operations.POST_ORDERS))
    async def post_orders(request: Request[Any, Any, Any]) -> RawResponse:
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            detail = "bodies are read as they are, without Content-Encoding"
            raise HTTPProblem(UNSUPPORTED_ENCODING, detail)
        receive = request.receive
        scope: Any = request.scope
        with recorded_failure(audit, "sent", scope):
            async with bodies.read(scope, receive) as document, Disconnection(receive) as has_left:
                await admit(scope, len(document))
                orders = await publish(document, request_id.as_message_header(scope), has_left)
        uids = tuple(order.order_uid for order in orders)
        record(audit, "sent", scope, uids)
        body = msgspec.json.encode(OrderUids(uids))
        location = (b"location", _location(orders).encode())
        return RawResponse.of(body, location, NO_STORE, status=202)

    return post_orders


def _location(orders: Sequence[Order]) -> str:
    return path_to(orders[0].order_uid) if len(orders) == 1 else "/orders"
