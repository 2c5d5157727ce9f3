"""Reads documents of orders; what cannot be read of one order does not fail the others."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import NamedTuple

import structlog
from psycopg.pq import TransactionStatus

from orders.adapters.postgres.errors import is_row_fault
from orders.adapters.postgres.read_sql import DOCUMENTS
from orders.adapters.postgres.session import Session
from orders.domain.errors import DamagedOrder

_TABLES = {"delivery": "delivery", "payment": "payments"}
"""Parts of a document that are null if their row is missing, and the tables of these rows."""

_MAX_LOGGED = 1_000
"""With row security, say, all orders are damaged: no reason to log a million lines."""

_log = structlog.get_logger(__name__)


class Documents(NamedTuple):
    """Documents by order_uid.

    ``damaged``: stored orders that have lost rows. ``not_searchable``: order_uids that the database
    cannot look up, as in an encoding that lacks their characters; no such order can be stored.
    """

    found: dict[str, bytes]
    damaged: dict[str, DamagedOrder]
    not_searchable: dict[str, Exception]


async def read_documents(session: Session, order_uids: Sequence[str]) -> Documents:
    """Read these orders, also within a transaction; raises driver errors that no uid causes."""
    documents = Documents({}, {}, {})
    if order_uids:
        await _read(session, order_uids, documents)
    return documents


async def _read(session: Session, order_uids: Sequence[str], documents: Documents) -> None:
    try:
        async with _savepoint(session), session.cursor(binary=True) as cursor:
            await cursor.execute(DOCUMENTS, [order_uids], prepare=True)
            rows = await cursor.fetchall()
    except Exception as error:
        if not is_row_fault(error):
            raise
        if len(order_uids) == 1:
            documents.not_searchable[order_uids[0]] = error
            return
        middle = len(order_uids) // 2
        for half in (order_uids[:middle], order_uids[middle:]):
            await _read(session, half, documents)
        return
    for uid, document in rows:
        if damage := damage_of(document):
            documents.damaged[uid] = damage
        else:
            documents.found[uid] = document


def _savepoint(session: Session) -> AbstractAsyncContextManager[object]:
    """Keep a transaction usable after an error; without one, there is nothing to keep."""
    in_transaction = session.info.transaction_status is not TransactionStatus.IDLE
    return session.transaction() if in_transaction else nullcontext()


def damage_of(document: bytes) -> DamagedOrder | None:
    """What is missing in a document.

    A text cannot look like it: the quotation marks within texts are escaped.
    """
    if b":null," not in document:
        return None
    missing = [
        table for part, table in _TABLES.items() if b'"' + part.encode() + b'":null,' in document
    ]
    if not missing:
        return None
    return DamagedOrder(f"the stored order is incomplete: it has no row in {' and '.join(missing)}")


class DamageLog:
    """Logs each damaged order once, with the number of them so far."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def note(self, order_uid: str, damage: DamagedOrder) -> None:
        """Log it, unless it or very many others were logged."""
        if order_uid in self._logged or len(self._logged) >= _MAX_LOGGED:
            return
        self._logged.add(order_uid)
        _log.error(
            "stored order is incomplete",
            order_uid=order_uid,
            reason=str(damage),
            count=len(self._logged),
        )
