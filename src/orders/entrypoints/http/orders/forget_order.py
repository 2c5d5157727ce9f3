"""DELETE of /orders/{order_uid}: forgets one order."""

from collections.abc import Callable

from litestar.datastructures import Headers

from orders.domain.use_cases.forget_orders import ForgetOrders
from orders.entrypoints.audit import Audit
from orders.entrypoints.http.asgi_types import Scope
from orders.entrypoints.http.origin_checks import require_same_site
from orders.entrypoints.http.request_audit import record, recorded_failure


class ForgetOrder:
    """Forgets an order on behalf of a request, if its sender may, and records that."""

    def __init__(
        self, forget: ForgetOrders, audit: Audit | None, require_eraser: Callable[[Scope], None]
    ) -> None:
        self._forget = forget
        self._audit = audit
        self._require_eraser = require_eraser

    async def __call__(self, order_uid: str, scope: Scope) -> None:
        """Forget the order; the request id must be attached to the request already.

        Raises:
            HTTPProblem: the sender may not, or another site has caused the request.
            Unavailable: the store is down.
        """
        with recorded_failure(self._audit, "forgot", scope, (order_uid,)):
            require_same_site(Headers(scope["headers"]))
            self._require_eraser(scope)
            await self._forget((order_uid,))
        record(self._audit, "forgot", scope, (order_uid,))
