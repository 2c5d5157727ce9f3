"""GET /health/live and /health/ready."""

import msgspec
from litestar.handlers import HTTPRouteHandler

from orders.domain.use_cases.check_readiness import CheckReadiness
from orders.entrypoints.http import operations
from orders.entrypoints.http.answer import NO_STORE, Answer
from orders.entrypoints.http.openapi.operation import documented
from orders.entrypoints.http.openapi.schemas import Liveness
from orders.entrypoints.http.routes import READ


def routes(readiness: CheckReadiness) -> list[HTTPRouteHandler]:
    """The routes; the first asks nobody, the second this use case."""

    @READ("/health/live", **documented(operations.LIVE))
    async def live() -> Answer:
        return Answer.of(msgspec.json.encode(Liveness()), NO_STORE)

    @READ("/health/ready", **documented(operations.READY))
    async def ready() -> Answer:
        report = await readiness()
        status = 503 if report.state == "unavailable" else 200
        return Answer.of(msgspec.json.encode(report), NO_STORE, status=status)

    return [live, ready]
