"""POST and GET /random/{amount}: create random orders and send them to the topic."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from orders.domain.order.document import encode
from orders.domain.use_cases.publish_orders import RANDOM_BYTES, PublishRandom
from orders.entrypoints.audit import Audit
from orders.entrypoints.http import request_id
from orders.entrypoints.http.asgi_types import Scope
from orders.entrypoints.http.docs import operations
from orders.entrypoints.http.docs.openapi.operation import documented
from orders.entrypoints.http.problems import INVALID_REQUEST, HTTPProblem, ProblemError, UserMessage
from orders.entrypoints.http.request_audit import record, recorded_failure
from orders.entrypoints.http.responses import NO_STORE, RawResponse
from orders.entrypoints.http.routes import READ_WITH_EFFECT, WRITE

_BY_GET = " GET does the same as POST, for use in links."
_NATURAL = re.compile(r"[1-9][0-9]*")


def routes(
    publish: PublishRandom,
    most: int,
    admit: Callable[[Scope, int], Awaitable[None]],
    audit: Audit | None = None,
) -> list[HTTPRouteHandler]:
    """Create the routes; ``most`` is the largest amount, ``audit`` as in ``create_app``."""

    async def respond(request: Request[Any, Any, Any], amount: str) -> RawResponse:
        number = parse_amount(amount, most)
        scope: Any = request.scope
        with recorded_failure(audit, "sent", scope):
            await admit(scope, number * RANDOM_BYTES)
            orders = await publish(number, request_id.as_message_header(scope))
        record(audit, "sent", scope, (order.order_uid for order in orders))
        return RawResponse.of(b"[" + b",".join(map(encode, orders)) + b"]", NO_STORE)

    by_post = operations.random_orders("post", most)
    by_get = operations.random_orders("get", most, _BY_GET)

    @WRITE("/random/{amount:str}", **documented(by_post))
    async def post_random(request: Request[Any, Any, Any], amount: FromPath[str]) -> RawResponse:
        return await respond(request, amount)

    @READ_WITH_EFFECT("/random/{amount:str}", **documented(by_get))
    async def get_random(request: Request[Any, Any, Any], amount: FromPath[str]) -> RawResponse:
        return await respond(request, amount)

    return [post_random, get_random]


def parse_amount(text: str, most: int) -> int:
    """Parse a natural number in ASCII digits, without sign or leading zero.

    Raises:
        HTTPProblem: it is not such a number, or above ``most``.
    """
    # The length first: numbers of thousands of digits are slow to parse.
    if len(text) <= len(str(most)) and _NATURAL.fullmatch(text) and int(text) <= most:
        return int(text)
    fault = ProblemError(f"must be a number from 1 to {most}", parameter="amount")
    user_message = UserMessage("error_text_amount", {"most": most})
    raise HTTPProblem(INVALID_REQUEST, "no such amount", [fault], user_message)
