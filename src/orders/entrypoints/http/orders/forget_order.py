"""DELETE of /orders/{order_uid}: forgets one order."""

from litestar.datastructures import Headers

from orders.domain.errors import NotFound
from orders.domain.order.rules import is_order_uid
from orders.domain.use_cases.forget_orders import ForgetOrders
from orders.entrypoints.audit import Audit
from orders.entrypoints.http.access.principal import require
from orders.entrypoints.http.access.scopes import ADMIN
from orders.entrypoints.http.asgi_types import Scope
from orders.entrypoints.http.origin_checks import require_same_site
from orders.entrypoints.http.problems import FORBIDDEN, NO_ACCESS_CONTROL, HTTPProblem
from orders.entrypoints.http.request_audit import record, recorded_failure


class ForgetOrder:
    """Forgets an order on behalf of a request, if its sender may, and records that.

    Without access control (``is_protected``) nobody may.
    """

    def __init__(self, forget: ForgetOrders, audit: Audit | None, *, is_protected: bool) -> None:
        self._forget = forget
        self._audit = audit
        self._is_protected = is_protected

    async def __call__(self, order_uid: str, scope: Scope) -> None:
        """Forget the order; the request id must be attached to the request already.

        Raises:
            HTTPProblem: the sender may not, or another site has caused the request.
            NotFound: no order can have this order_uid.
            Unavailable: the store is down.
        """
        with recorded_failure(self._audit, "forgot", scope, (order_uid,)):
            if self._is_protected:
                require(scope, ADMIN)
            require_same_site(Headers(scope["headers"]))
            if not self._is_protected:
                raise HTTPProblem(FORBIDDEN, NO_ACCESS_CONTROL)
            if not is_order_uid(order_uid):  # a tombstone would keep whatever text it is
                raise NotFound("no order can have this order_uid")
            await self._forget((order_uid,))
        record(self._audit, "forgot", scope, (order_uid,))
