"""The repository of orders in PostgreSQL."""

from collections.abc import Collection, Sequence
from operator import attrgetter

from orders.adapters.postgres.access import can_read, can_write
from orders.adapters.postgres.bisecting_save import BisectingSave
from orders.adapters.postgres.comparison import compare
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.documents import DamageLog, damage_of, read_available, read_page
from orders.adapters.postgres.errors import (
    is_row_fault,
    is_too_long,
    may_be_row_fault,
    sanitize,
    translated,
)
from orders.adapters.postgres.session import Session
from orders.adapters.postgres.writing import write_orders
from orders.domain.errors import Invalid, Unavailable
from orders.domain.order.document import StoredOrder
from orders.domain.order.model import Order
from orders.domain.order.queries import CURRENT, Cursor, FoundDocuments, OrderQuery, Page
from orders.domain.order.rules import is_storable
from orders.domain.ports import OrderRepository, SaveReport

_order_uid = attrgetter("order_uid")


class PostgresOrderRepository(OrderRepository):
    """See ``OrderRepository``. Safe for concurrent use.

    ``is_replica``: whether it is that of another repository, also after it was promoted.
    """

    def __init__(self, database: PostgresDatabase, *, is_replica: bool = False) -> None:
        self._database = database
        self._is_replica = is_replica
        self._expect_duplicates = False
        self._damage_log = DamageLog()

    async def save_many(self, orders: Sequence[Order]) -> SaveReport:
        """See ``OrderRepository.save_many``.

        Optimistic: a batch is first written as if all orders were new. If that fails, it is saved
        idempotently. If it contains stored orders, so is the next one: duplicates come in runs, and
        querying what is stored costs less than a failed attempt.

        Raises:
            ValueError: an order_uid occurs twice.
        """
        batch = sorted(orders, key=_order_uid)
        uids = frozenset(map(_order_uid, batch))
        if len(uids) < len(batch):
            raise ValueError("an order_uid occurs twice in a batch")
        if not batch:
            return SaveReport()
        seconds = self._database.timeouts.write
        async with self._database.connection(seconds, requires=can_write) as session:
            whole = True
            if not self._expect_duplicates:
                try:
                    await write_orders(session, batch)
                except Exception as error:
                    if not (may_be_row_fault(error) or is_too_long(error)):
                        raise
                    whole = not is_too_long(error)
                else:
                    return SaveReport(saved=uids)
            idempotent = BisectingSave(session, seconds)
            async with session.transaction():
                await idempotent.save(batch, whole=whole)
                session.abort_after(seconds)
        self._expect_duplicates = bool(
            idempotent.unchanged or idempotent.conflicts or idempotent.forgotten
        )
        return idempotent.report()

    async def are_stored(self, orders: Sequence[Order]) -> list[bool | None]:
        """See ``OrderRepository.are_stored``."""
        seconds = self._database.timeouts.read
        async with self._database.connection(seconds, requires=can_read) as session:
            return (await compare(session, orders, seconds))[0]

    async def get(self, order_uids: Collection[str]) -> FoundDocuments:
        """See ``OrderRepository.get``.

        Raises:
            Unavailable: the server or, on Citus, a worker is down; ``found`` has the other orders.
            DamagedOrder: one of them has lost rows; the others can be read without it.
        """
        uids = [uid for uid in order_uids if is_storable(uid)]
        if not uids:
            return FoundDocuments()
        async with self._database.connection(
            self._database.timeouts.read, requires=can_read
        ) as session:
            documents, failure = await read_available(session, uids)
            found = documents.found
            found.as_of = self._as_of(session, found.as_of)
        for uid, damage in documents.damaged.items():
            self._damage_log.note(uid, damage)
        for damage in documents.damaged.values():
            raise damage
        if failure:
            raise Unavailable(str(translated(failure)), found=found) from sanitize(failure)
        return found

    async def page(self, query: OrderQuery, limit: int, after: Cursor | None = None) -> Page:
        """See ``OrderRepository.page``; damaged orders are left out and logged.

        Raises:
            Invalid: ``after`` is not the cursor of a page.
        """
        if after is not None and not is_storable(after.order_uid):
            raise Invalid("the cursor is not one that was given out")
        texts = (query.order_uid, query.customer_id, query.track_number)
        if not all(is_storable(text) for text in texts if text is not None):
            return Page(())
        async with self._database.connection(
            self._database.timeouts.read, requires=can_read
        ) as session:
            try:
                found = await read_page(session, query, limit, after)
            except Exception as error:
                if is_row_fault(error):  # no stored order can have a value that cannot be sent
                    return Page(())
                raise
            as_of = self._as_of(session, found.as_of)
        return Page(tuple(filter(self._is_whole, found.orders)), found.next, as_of)

    def _as_of(self, session: Session, position: int) -> int:
        """What the primary says is true, also if it has lost tombstones in a failover."""
        return CURRENT if session.is_primary and not self._is_replica else position

    def _is_whole(self, order: StoredOrder) -> bool:
        """Whether an order has all its parts; logs it otherwise, since lists leave it out."""
        damage = damage_of(order.document)
        if damage:
            self._damage_log.note(order.order_uid, damage)
        return damage is None
