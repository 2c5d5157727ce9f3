"""Counts and looks up the orders stored here."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from orders.adapters.postgres.access import can_read
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.documents import read_documents
from orders.adapters.postgres.session import Session
from orders.domain.ports import OrderCensus, OrderNumbers

_LONGEST = 3600.0
"""How long a statement over all orders may take, in seconds."""
_CHUNK = 1_000
_PARTS = ((_CHUNK, 2**14), (16, 2**20), (1, 2**30))
"""How many orders are read at once, and the bytes that the document of each may have for that.

None has more than 2**20, unless it was stored when larger ones were taken.
"""


class PostgresOrderCensus(OrderCensus):
    """See ``OrderCensus``; tombstones do not count as orders, and damaged orders do."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        async with (
            self._database.connection(_LONGEST, requires=can_read) as session,
            session.transaction(),
        ):
            # Scanning is what these statements are about.
            await session.execute(
                "SET LOCAL statement_timeout = '1h'; SET LOCAL enable_seqscan = on"
            )
            yield session

    async def numbers(self) -> OrderNumbers:
        """See ``OrderCensus.numbers``."""
        async with self._session() as session:
            cursor = await session.execute(
                b"SELECT (o.date_created AT TIME ZONE 'UTC')::date::text, count(*) FROM orders o"
                b" WHERE o.forgotten_at IS NULL GROUP BY 1"
            )
            return OrderNumbers(dict(await cursor.fetchall()))

    async def uids(self, sample: int | None, seed: int) -> AsyncIterator[Sequence[str]]:
        """See ``OrderCensus.uids``."""
        if sample is not None:
            async with self._session() as session:
                cursor = await session.execute(
                    "SELECT order_uid FROM orders WHERE forgotten_at IS NULL"
                    " ORDER BY md5(order_uid || %s::text), order_uid LIMIT %s",
                    [str(seed), sample],
                )
                chosen = [uid for (uid,) in await cursor.fetchall()]
            for at in range(0, len(chosen), _CHUNK):
                yield chosen[at : at + _CHUNK]
            return
        after = ""
        while True:
            async with self._session() as session:
                cursor = await session.execute(
                    "SELECT order_uid FROM orders WHERE order_uid > %s AND forgotten_at IS NULL"
                    " ORDER BY order_uid LIMIT %s",
                    [after, _CHUNK],
                )
                uids = [uid for (uid,) in await cursor.fetchall()]
            if not uids:
                return
            yield uids
            after = uids[-1]

    async def known(self, order_uids: Sequence[str]) -> set[str]:
        """See ``OrderCensus.known``."""
        async with self._session() as session:
            cursor = await session.execute(
                "SELECT order_uid FROM orders WHERE order_uid = ANY(%s) AND forgotten_at IS NULL",
                [list(order_uids)],
            )
            return {uid for (uid,) in await cursor.fetchall()}

    async def documents(self, order_uids: Sequence[str]) -> AsyncIterator[Mapping[str, bytes]]:
        """See ``OrderCensus.documents``."""
        for number, size in _PARTS:
            larger: set[str] = set()
            for at in range(0, len(order_uids), number):
                sizes = dict.fromkeys(order_uids[at : at + number], size)
                async with self._database.connection(_LONGEST, requires=can_read) as session:
                    read = await read_documents(session, list(sizes), sizes)
                larger |= read.larger
                yield read.found
            order_uids = sorted(larger)
