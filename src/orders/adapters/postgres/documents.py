"""Reads documents and pages of orders, on plain PostgreSQL and on Citus.

What cannot be read of one order does not fail the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from itertools import accumulate
from typing import NamedTuple, TypeVar

import psycopg
import structlog
from psycopg import AsyncCursor
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg.types.numeric import Int8

from orders.adapters.postgres.erasure import position_of
from orders.adapters.postgres.errors import is_row_fault, is_worker_down
from orders.adapters.postgres.read_sql import (
    DISTRIBUTED_DOCUMENTS,
    DISTRIBUTED_DOCUMENTS_WITHIN,
    DISTRIBUTED_SIZES,
    DISTRIBUTED_SUMMARIES,
    DISTRIBUTED_SUMMARY_SIZES,
    DOCUMENTS,
    DOCUMENTS_WITHIN,
    PAGE_BYTES,
    UIDS_BY_WORKER,
    Query,
    keys_query,
    page_query,
)
from orders.adapters.postgres.session import Session
from orders.domain.errors import DamagedOrder
from orders.domain.order.document import StoredOrder
from orders.domain.order.queries import CURRENT, Cursor, FoundDocuments, OrderQuery, Page, View

T = TypeVar("T")

_TABLES = {"delivery": "delivery", "payment": "payments", "amount": "payments"}
"""Parts of documents and summaries that are null if their row is missing, and the tables of these
rows."""

_DISTRIBUTED = {
    View.FULL: (DISTRIBUTED_DOCUMENTS, DISTRIBUTED_SIZES),
    View.SUMMARY: (DISTRIBUTED_SUMMARIES, DISTRIBUTED_SUMMARY_SIZES),
}
"""The queries for documents and for their sizes where the tables are distributed."""

_AT_ONCE = 200
"""Orders of a page that are read at once: the database makes the documents of those with few items
before it knows which are too many, and their texts may be long."""

_MAX_LOGGED = 1_000
"""With row security, say, all orders are damaged: no reason to log a million lines."""

_log = structlog.get_logger(__name__)


class Documents(NamedTuple):
    """Documents by order_uid.

    ``damaged``: stored orders that have lost rows. ``not_searchable``: order_uids that the database
    cannot look up, as in an encoding that lacks their characters; no such order can be stored.
    ``forgotten``: order_uids with a tombstone. ``larger``: order_uids of stored orders
    whose documents were left out for their size.
    """

    found: FoundDocuments
    damaged: dict[str, DamagedOrder]
    not_searchable: dict[str, Exception]
    forgotten: set[str]
    larger: set[str]

    @classmethod
    def none(cls) -> "Documents":
        """Nothing yet."""
        return cls(FoundDocuments(), {}, {}, set(), set())


async def read_documents(
    session: Session, order_uids: Sequence[str], sizes: Mapping[str, int] | None = None
) -> Documents:
    """Read these orders, also within a transaction; raises driver errors that no uid causes.

    ``sizes``: without documents that, by their texts and the number of their items, have more bytes
    than this says for their order_uid; to leave them out costs little.
    """
    documents = Documents.none()
    if order_uids:
        await _read(session, order_uids, documents, sizes)
    return documents


async def read_available(
    session: Session, order_uids: Sequence[str]
) -> tuple[Documents, psycopg.Error | None]:
    """Read what can be read of these orders; on Citus, workers that are down fail only their own.

    Returns the last failure as well. Not within a transaction.
    """
    try:
        return await read_documents(session, order_uids), None
    except psycopg.OperationalError as error:
        if not (session.citus_version and is_worker_down(error)) or session.closed:
            raise
        failure: psycopg.Error = error
    documents = Documents.none()
    cursor = await session.execute(UIDS_BY_WORKER, {"order_uids": order_uids})
    for (uids,) in await cursor.fetchall():
        try:
            await _read(session, uids, documents)
        except psycopg.OperationalError as error:
            failure = error
    return documents, failure


async def _read(
    session: Session,
    order_uids: Sequence[str],
    documents: Documents,
    sizes: Mapping[str, int] | None = None,
) -> None:
    plain, distributed = DOCUMENTS, DISTRIBUTED_DOCUMENTS
    parameters: dict[str, Sequence[object]] = {"order_uids": order_uids}
    if sizes is not None:
        plain, distributed = DOCUMENTS_WITHIN, DISTRIBUTED_DOCUMENTS_WITHIN
        parameters["sizes"] = [Int8(sizes[uid]) for uid in order_uids]
    try:
        async with _savepoint(session), session.cursor(binary=True) as cursor:
            statement = distributed if session.citus_version else plain
            await cursor.execute(statement, parameters, prepare=True)
            rows = await cursor.fetchall()
    except Exception as error:
        if not is_row_fault(error):
            raise
        if len(order_uids) == 1:
            documents.not_searchable[order_uids[0]] = error
            return
        middle = len(order_uids) // 2
        for half in (order_uids[:middle], order_uids[middle:]):
            await _read(session, half, documents, sizes)
        return
    documents.found.as_of = min(documents.found.as_of, _as_of(rows, 2))
    for uid, document, *_ in rows:
        if document is None:
            documents.larger.add(uid)
        elif not (damage := damage_of(document)):
            documents.found[uid] = document
        elif _is_tombstone(document):
            documents.forgotten.add(uid)
        else:
            documents.damaged[uid] = damage


async def read_page(session: Session, query: OrderQuery, limit: int, after: Cursor | None) -> Page:
    """Read at most ``limit`` orders after ``after``, damaged ones as well.

    Fewer if they are large (``PAGE_BYTES``).
    """
    orders: list[StoredOrder] = []
    room, as_of = PAGE_BYTES, CURRENT
    while True:
        part = await _read_part(session, query, min(limit - len(orders), _AT_ONCE), after, room)
        orders += part.orders
        as_of = min(as_of, part.as_of)
        room -= sum(len(order.document) for order in part.orders)
        after = part.next
        if after is None or len(orders) >= limit or room <= 0:
            return Page(tuple(orders), after, as_of)


async def _read_part(
    session: Session, query: OrderQuery, limit: int, after: Cursor | None, room: int
) -> Page:
    async with session.cursor(binary=True) as cursor:
        # One more than requested shows whether there is a next page.
        if session.citus_version:
            documents_of, sizes_of = _DISTRIBUTED[query.view]
            keys = await _select(cursor, keys_query(query, limit + 1, after))
            uids = [uid for uid, _ in keys[:limit]]
            # Before any document reaches this process.
            await cursor.execute(sizes_of, {"order_uids": uids}, prepare=True)
            sizes: dict[str, int] = dict(await cursor.fetchall())
            ends = list(accumulate(sizes.get(uid, 0) for uid in uids))
            limit = 1 + sum(end < room for end in ends[:-1])
            await cursor.execute(documents_of, {"order_uids": uids[:limit]}, prepare=True)
            documents: dict[str, bytes] = dict(await cursor.fetchall())
            rows = [
                (*key, documents[key[0]])
                for key in keys[:limit]
                if key[0] in documents and not _is_tombstone(documents[key[0]])
            ]
        else:
            keys = await _select(cursor, page_query(query, limit + 1, after, room))
            rows = [row for row in keys[:limit] if row[2] is not None]
            limit = len(rows)
    orders, as_of = tuple(StoredOrder(*row[:3]) for row in rows), _as_of(rows, 3)
    if len(keys) <= limit:
        return Page(orders, as_of=as_of)
    uid, date_created = keys[limit - 1][:2]
    return Page(orders, Cursor(date_created, uid), as_of)


def _as_of(rows: Sequence[TupleRow], column: int) -> int:
    """The position of the latest tombstone, which stands beside each row, but not with Citus."""
    if not rows or len(rows[0]) <= column:
        return CURRENT
    return position_of(rows[0][column]) if rows[0][column] else 0


async def _select(cursor: AsyncCursor[TupleRow], query: Query) -> list[TupleRow]:
    await cursor.execute(query.statement, query.parameters)
    return await cursor.fetchall()


def _savepoint(session: Session) -> AbstractAsyncContextManager[object]:
    """Keep a transaction usable after an error; without one, there is nothing to keep."""
    in_transaction = session.info.transaction_status is not TransactionStatus.IDLE
    return session.transaction() if in_transaction else nullcontext()


def parts_within(most: int, sizes: Iterable[tuple[T, int]]) -> Iterator[list[T]]:
    """Yield what has these sizes in parts of at most that sum; what is larger comes alone."""
    part: list[T] = []
    total = 0
    for each, size in sizes:
        total += size
        if part and total > most:
            yield part
            part, total = [], size
        part.append(each)
    if part:
        yield part


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


def _is_tombstone(document: bytes) -> bool:
    """Whether this was made of a tombstone: its date, which is no instant, reads as null."""
    return b'"date_created":null,' in document


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
