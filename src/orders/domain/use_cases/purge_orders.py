"""Forgets all orders of a certain age, and drops old tombstones."""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from orders.domain.errors import OrdersError
from orders.domain.order.queries import Cursor
from orders.domain.ports import Erasure
from orders.domain.use_cases.forget_orders import CHUNK, ForgetOrders

COUNT_CHUNK = 10_000
"""Orders that are counted at once."""


class PurgeProgress(Struct, frozen=True):
    """How far it is: the number of orders so far, and the date_created of the latest of them."""

    orders: int = 0
    up_to: datetime | None = None


class PurgeReport(Struct, frozen=True):
    """The number of orders and of tombstones, and whether it was stopped before the end."""

    orders: int = 0
    tombstones: int = 0
    is_stopped: bool = False


class PurgeOrders:
    """Works in chunks from the oldest order on, so it can be stopped, and run again."""

    def __init__(self, erasure: Erasure, forget: ForgetOrders) -> None:
        self._erasure = erasure
        self._forget = forget

    async def __call__(
        self,
        before: datetime | None,
        tombstones_before: datetime | None = None,
        *,
        dry_run: bool = False,
        progress: Callable[[PurgeProgress], None] = lambda _: None,
        wants_stop: Callable[[], bool] = lambda: False,
        on_purged: Callable[[list[str], str], None] = lambda _uids, _outcome: None,
    ) -> PurgeReport:
        """Forget the orders with a date_created before ``before``; in a dry run, count them.

        Then drop tombstones from before ``tombstones_before``. None is none of them.

        Args:
            before: the bound for orders.
            tombstones_before: the bound for tombstones.
            dry_run: change nothing.
            progress: called after each chunk.
            wants_stop: called before each chunk.
            on_purged: called with the order_uids of each chunk, and with ``ok`` or the code of the
                error with which it failed: they may be forgotten all the same.

        Raises:
            Unavailable: the store is down; what was forgotten so far stays so.
        """
        orders = dropped = 0
        after: Cursor | None = None
        limit = COUNT_CHUNK if dry_run else CHUNK
        while before:
            if wants_stop():
                return PurgeReport(orders, is_stopped=True)
            chunk = await self._erasure.oldest(before, limit, after)
            if not chunk:
                break
            uids = [cursor.order_uid for cursor in chunk]
            if not dry_run:
                try:
                    await self._forget(uids)
                except OrdersError as error:
                    on_purged(uids, error.code)
                    raise
                on_purged(uids, "ok")
            orders += len(uids)
            after = chunk[-1]
            progress(PurgeProgress(orders, after.date_created))
        while tombstones_before and not dry_run:
            if wants_stop():
                return PurgeReport(orders, dropped, is_stopped=True)
            if not (number := await self._erasure.drop_tombstones(tombstones_before, CHUNK)):
                break
            dropped += number
        return PurgeReport(orders, dropped)
