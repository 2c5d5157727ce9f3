"""Save a batch that a plain COPY cannot: some orders are stored already, or rows are refused."""

from collections.abc import Sequence

from msgspec import Struct, field

from orders.adapters.postgres.copy_rows import copy_orders
from orders.adapters.postgres.errors import (
    is_known_order,
    is_row_fault,
    is_too_long,
    rejection_reason,
)
from orders.adapters.postgres.read_sql import DOCUMENTS
from orders.adapters.postgres.session import Session
from orders.domain.errors import Unavailable
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.order.rules import is_storable
from orders.domain.ports import SaveReport


class IdempotentSave(Struct):
    """One batch within one transaction, which the caller begins and commits.

    Each attempt to write is a savepoint, so that what fails takes nothing else with it.
    ``step_seconds`` is the time that one attempt has.
    """

    session: Session
    step_seconds: float
    saved: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)

    async def save(self, batch: Sequence[Order], *, whole: bool = True) -> None:
        """Judge what is stored already by its content, and write the rest.

        ``batch`` is sorted by order_uid; not ``whole``: it is known to take too long at once.
        Raises driver errors that are no row's fault, and Unavailable.
        """
        for part in [batch] if whole else _halves(batch):
            await self._write(await self._unknown(part))

    def report(self) -> SaveReport:
        """What became of each order."""
        return SaveReport(
            frozenset(self.saved),
            frozenset(self.unchanged),
            frozenset(self.conflicts),
            self.rejected,
        )

    async def _unknown(self, batch: Sequence[Order]) -> Sequence[Order]:
        """Those that are not stored; of the others it is noted what became of them."""
        uids = [order.order_uid for order in batch if is_storable(order.order_uid)]
        self.session.give_up_after(self.step_seconds)
        async with self.session.cursor(binary=True) as cursor:
            await cursor.execute(DOCUMENTS, [uids], prepare=True)
            stored: dict[str, bytes] = dict(await cursor.fetchall())
        for order in batch:
            document = stored.get(order.order_uid)
            if document is not None:
                same = _is(order, document)
                (self.unchanged if same else self.conflicts).append(order.order_uid)
        return [order for order in batch if order.order_uid not in stored]

    async def _write(self, batch: Sequence[Order]) -> None:
        if not batch:
            return
        error = await self._attempt(batch)
        if error is None:
            self.saved += [order.order_uid for order in batch]
        elif is_known_order(error):
            # Another writer has just committed one of these, so there are fewer now.
            unknown = await self._unknown(batch)
            if len(unknown) == len(batch):
                raise Unavailable("orders are being deleted while they are stored") from error
            await self._write(unknown)
        elif len(batch) == 1:
            if not is_row_fault(error):
                raise error
            self.rejected[batch[0].order_uid] = rejection_reason(error)
        else:
            for half in _halves(batch):
                await self._write(half)

    async def _attempt(self, batch: Sequence[Order]) -> Exception | None:
        """Write them all, or none and return why; what only waiting can help with is raised."""
        self.session.give_up_after(self.step_seconds)
        try:
            async with self.session.transaction():
                await copy_orders(self.session, batch)
        except Exception as error:
            if is_row_fault(error) or is_too_long(error):
                return error
            raise
        return None


def _halves(batch: Sequence[Order]) -> list[Sequence[Order]]:
    middle = len(batch) // 2
    return [half for half in (batch[:middle], batch[middle:]) if half]


def _is(order: Order, document: bytes) -> bool:
    try:
        return encode(order) == document
    except (UnicodeEncodeError, OverflowError):  # what cannot be written cannot be stored
        return False
