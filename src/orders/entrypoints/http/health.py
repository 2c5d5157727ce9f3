"""GET /health/live and /health/ready."""

import msgspec
from litestar.handlers import HTTPRouteHandler

from orders.domain.use_cases.check_readiness import CheckReadiness
from orders.entrypoints.http.docs import operations
from orders.entrypoints.http.docs.openapi.operation import documented
from orders.entrypoints.http.docs.openapi.schemas import Liveness
from orders.entrypoints.http.responses import NO_STORE, RawResponse
from orders.entrypoints.http.routes import READ


def routes(readiness: CheckReadiness) -> list[HTTPRouteHandler]:
    """Create the routes; liveness checks nothing but the process itself."""

    @READ("/health/live", **documented(operations.LIVE))
    async def live() -> RawResponse:
        return RawResponse.of(msgspec.json.encode(Liveness()), NO_STORE)

    @READ("/health/ready", **documented(operations.READY))
    async def ready() -> RawResponse:
        report = await readiness()
        status = 503 if report.state == "unavailable" else 200
        return RawResponse.of(msgspec.json.encode(report), NO_STORE, status=status)

    return [live, ready]
