"""Saves a batch with stored orders or rejected rows in it, which bisection finds."""

from collections.abc import Sequence

from msgspec import Struct, field
from psycopg.errors import UniqueViolation

from orders.adapters.postgres.comparison import compare
from orders.adapters.postgres.errors import (
    is_known_order,
    is_row_fault,
    is_too_long,
    may_be_row_fault,
    rejection_reason,
)
from orders.adapters.postgres.session import Session
from orders.adapters.postgres.writing import copy_orders, insert_order
from orders.domain.errors import Unavailable
from orders.domain.order.model import Order
from orders.domain.ports import SaveReport


class BisectingSave(Struct):
    """Saves one batch in a transaction, which the caller begins and commits.

    Each attempt to write has a savepoint, so that a failure undoes only that attempt, and may take
    ``step_seconds``.
    """

    session: Session
    step_seconds: float
    saved: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)

    async def save(self, batch: Sequence[Order], *, whole: bool = True) -> None:
        """Compare the orders that are already stored, and write the others.

        ``batch`` must be sorted by order_uid; not ``whole``: it is too large for one attempt.
        Raises driver errors of which no row is the cause, and Unavailable.
        """
        for part in [batch] if whole else _halves(batch):
            await self._write(await self._unknown(part))

    def report(self) -> SaveReport:
        """The outcome for each order."""
        return SaveReport(
            frozenset(self.saved),
            frozenset(self.unchanged),
            frozenset(self.conflicts),
            self.rejected,
            frozenset(self.forgotten),
        )

    async def _unknown(self, batch: Sequence[Order]) -> Sequence[Order]:
        """Return the orders that are not stored; record the outcome of the others."""
        are_stored, others = await compare(self.session, batch, self.step_seconds)
        rejected = {uid: str(damage) for uid, damage in others.damaged.items()}
        rejected |= {uid: rejection_reason(error) for uid, error in others.not_searchable.items()}
        self.rejected |= rejected
        self.forgotten += others.forgotten
        unknown: list[Order] = []
        for order, is_stored in zip(batch, are_stored, strict=True):
            uid = order.order_uid
            if is_stored is not None:
                (self.unchanged if is_stored else self.conflicts).append(uid)
            elif uid not in rejected and uid not in others.forgotten:
                unknown.append(order)
        return unknown

    async def _write(self, batch: Sequence[Order]) -> None:
        if not batch:
            return
        error = await self._attempt(batch)
        if error is None:
            self.saved += [order.order_uid for order in batch]
            return
        if isinstance(error, UniqueViolation):
            # Another writer may have just committed at least one of these.
            unknown = await self._unknown(batch)
            if len(unknown) < len(batch):
                await self._write(unknown)
                return
            if is_known_order(error):
                raise Unavailable("orders are being deleted while they are stored") from error
        if len(batch) > 1:
            for half in _halves(batch):
                await self._write(half)
        elif is_row_fault(error):
            self.rejected[batch[0].order_uid] = rejection_reason(error)
        else:
            raise error

    async def _attempt(self, batch: Sequence[Order]) -> Exception | None:
        """Write all or return the error; raises errors that a smaller batch cannot avoid."""
        self.session.abort_after(self.step_seconds)
        try:
            async with self.session.transaction():
                if len(batch) == 1:
                    await insert_order(self.session, batch[0])
                else:
                    await copy_orders(self.session, batch)
        except Exception as error:
            if may_be_row_fault(error) or is_too_long(error):
                return error
            raise
        return None


def _halves(batch: Sequence[Order]) -> list[Sequence[Order]]:
    middle = len(batch) // 2
    return [half for half in (batch[:middle], batch[middle:]) if half]
