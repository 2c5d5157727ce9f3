"""Reads the orders of the service that this one replaces; changes nothing there."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import psycopg
from msgspec import Struct
from psycopg import AsyncConnection, postgres, sql
from psycopg.abc import Params
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.string import BytesBinaryDumper

from orders.adapters.postgres.documents import parts_within
from orders.adapters.postgres.errors import sanitize, translated
from orders.adapters.postgres.session import BytesLoader
from orders.adapters.postgres.tables import scalars
from orders.domain.errors import Invalid
from orders.domain.order.model import Delivery, Item, Order, Payment
from orders.domain.ports import OrderCensus, OrderNumbers, OrderSource, SourceEntry

BATCH = 1_000
_UNINDEXED = 100_000
"""Orders whose sizes are read at once if items have no index by order_uid, so that each statement
scans all items."""
_BYTES = 16 * 2**20
"""Documents that are read at once; a larger one is read alone. Neither this process nor the server
has to hold a thousand orders of a megabyte."""
_STATEMENT_TIMEOUT = "1h"

_TABLES: Mapping[str, type[Struct]] = {
    "orders": Order,
    "delivery": Delivery,
    "payments": Payment,
    "items": Item,
}
_FIELDS: Mapping[type[Struct], Sequence[str]] = {
    Order: (
        *("order_uid", "track_number", "entry", "locale", "internal_signature", "customer_id"),
        *("delivery_service", "shardkey", "sm_id", "date_created", "oof_shard"),
    ),
    Delivery: ("name", "phone", "zip", "city", "address", "region", "email"),
    Payment: (
        *("transaction", "request_id", "currency", "provider", "amount", "payment_dt", "bank"),
        *("delivery_cost", "goods_total", "custom_fee"),
    ),
    Item: (
        *("chrt_id", "track_number", "price", "rid", "name", "sale", "size", "total_price"),
        *("nm_id", "brand", "status"),
    ),
}
"""The columns of the old tables. They do not follow the structs: what those gain, these lack."""
_TEXT, _INT = frozenset({"varchar", "text"}), frozenset({"int2", "int4", "int8"})
_KINDS = {"text": _TEXT, "int8": _INT, "timestamptz": frozenset({"timestamptz"})}
_EXPECTED: Mapping[tuple[str, str], frozenset[str]] = {
    **{
        (table, name): _KINDS[scalars(struct)[name]]
        for table, struct in _TABLES.items()
        for name in _FIELDS[struct]
    },
    **{(table, "order_uid"): _TEXT for table in _TABLES},
    ("items", "item_id"): _INT,
}
_COLUMNS = """
    SELECT c.relname::text, a.attname::text, t.typname::text
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid IN (
        to_regclass('orders'), to_regclass('delivery'), to_regclass('payments'),
        to_regclass('items'))
"""
_IS_INDEXED = """
    SELECT EXISTS (
        SELECT FROM pg_index i
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = to_regclass('items') AND a.attname = 'order_uid' AND i.indisvalid)
"""
_IDENTITY = """
    SELECT (SELECT system_identifier FROM pg_control_system()),
        (SELECT oid::int8 FROM pg_database WHERE datname = current_database()),
        to_regclass('orders')::oid::int8
"""


def _object(struct: type[Struct], alias: str, **special: str) -> sql.Composed:
    values: dict[str, sql.Composable] = {
        name: sql.Identifier(alias, name) for name in _FIELDS[struct]
    }
    values |= {name: sql.SQL(text) for name, text in special.items()}
    pairs = [sql.SQL("{}, {}").format(sql.Literal(name), value) for name, value in values.items()]
    return sql.SQL("json_build_object({})").format(sql.SQL(", ").join(pairs))


_AFTER = " WHERE order_uid > %s"
_NAMED = " WHERE order_uid = ANY(%(uids)b)"  # a list as text would be one of bytea
_WHOLE = (
    "SELECT order_uid::text FROM orders JOIN delivery USING (order_uid)"
    " JOIN payments USING (order_uid)"
)
_UIDS = "SELECT order_uid::text FROM orders{} ORDER BY order_uid LIMIT {}"
# The limit comes first: to join and then to limit may read all rows for each chunk.
_CHUNK = (
    "SELECT o.order_uid::text, d.order_uid IS NOT NULL AND p.order_uid IS NOT NULL"
    " FROM (SELECT order_uid FROM orders{} ORDER BY order_uid LIMIT {}) o"
    " LEFT JOIN delivery d USING (order_uid) LEFT JOIN payments p USING (order_uid)"
    " ORDER BY o.order_uid"
)
_NUMBERS = """
    SELECT ((date_created AT TIME ZONE 'UTC')::date)::text,
        count(*) FILTER (WHERE d.order_uid IS NOT NULL AND p.order_uid IS NOT NULL), count(*)
    FROM orders LEFT JOIN delivery d USING (order_uid) LEFT JOIN payments p USING (order_uid)
    GROUP BY 1
"""
_PART = "CASE WHEN {0}.order_uid IS NOT NULL THEN {1} END"
_DOCUMENTS = (
    sql.SQL(
        "WITH o AS (SELECT * FROM orders {named})"
        " SELECT o.order_uid::text, {order} FROM o"
        " LEFT JOIN (SELECT * FROM delivery {named}) d ON d.order_uid = o.order_uid"
        " LEFT JOIN (SELECT * FROM payments {named}) p ON p.order_uid = o.order_uid"
        " LEFT JOIN (SELECT t.order_uid, json_agg({item} ORDER BY t.item_id) AS items"
        " FROM o JOIN items t ON t.order_uid = o.order_uid GROUP BY t.order_uid) i"
        " ON i.order_uid = o.order_uid ORDER BY o.order_uid"
    )
    .format(
        named=sql.SQL(_NAMED),
        order=_object(
            Order,
            "o",
            delivery=_PART.format("d", _object(Delivery, "d").as_string()),
            payment=_PART.format("p", _object(Payment, "p").as_string()),
            items="coalesce(i.items, '[]')",
        ),
        item=_object(Item, "t"),
    )
    .as_string()
)


def _sizes_in(table: str, struct: type[Struct]) -> sql.Composed:
    kinds, names = scalars(struct), _FIELDS[struct]
    numbers: list[sql.Composable] = [sql.Literal(sum(len(f'"{name}" : "", ') for name in names))]
    numbers += [
        sql.SQL("coalesce(octet_length({}), 0)").format(sql.Identifier("t", name))
        for name in names
        if kinds[name] == "text"
    ]
    # Without an index, versions below 14 would look through the whole list for each item.
    which = "JOIN o USING (order_uid)" if struct is Item else _NAMED
    return sql.SQL("SELECT order_uid, {} AS bytes FROM {} t {}").format(
        sql.SQL(" + ").join(numbers), sql.Identifier(table), sql.SQL(which)
    )


_SIZES = (
    sql.SQL(
        "WITH o AS (SELECT order_uid FROM orders {named})"
        " SELECT p.order_uid::text, sum(p.bytes) FROM ({parts}) p"
        " GROUP BY p.order_uid ORDER BY p.order_uid"
    )
    .format(
        named=sql.SQL(_NAMED),
        parts=sql.SQL(" UNION ALL ").join(_sizes_in(*table) for table in _TABLES.items()),
    )
    .as_string()
)
"""Selects order_uids and the bytes that their documents have at least: the texts, and the names of
the fields. PostgreSQL keeps the lengths of long texts, so it does not read these."""


@asynccontextmanager
async def open_legacy_orders(dsn: str, own_dsn: str | None = None) -> AsyncIterator["LegacyOrders"]:
    """Connect to the database of the old service for the time of the block.

    Raises:
        Invalid: the tables are not those of the old service, or those at ``own_dsn``.
        Unavailable: the server is down.
    """
    with _translated_errors():
        connection = await _connect(dsn)
    async with connection:
        with _translated_errors():
            await _require_old_tables(connection, own_dsn)
        yield LegacyOrders(connection)


class LegacyOrders(OrderSource, OrderCensus):
    """Reads in chunks by order_uid, each a short read-only transaction of a bounded size.

    The server makes the documents. They are checked like all others: an order without delivery or
    payment, an infinite date, or bytes that are not UTF-8 are refused, and nothing is invented.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        # Of SQL_ASCII nobody knows the encoding.
        encoding = connection.info.encoding
        self._codec = "utf-8" if encoding == "ascii" else encoding

    async def batches(self) -> AsyncIterator[Sequence[SourceEntry]]:
        """See ``OrderSource.batches``."""
        async for chunk in self._chunks(_UIDS):
            async for documents in self._read([uid for (uid,) in chunk]):
                entries = [SourceEntry(f"order_uid {uid}", document) for uid, document in documents]
                for at in range(0, len(entries), BATCH):
                    yield entries[at : at + BATCH]

    async def numbers(self) -> OrderNumbers:
        """See ``OrderCensus.numbers``."""
        rows = await self._fetch(_NUMBERS)
        days = {(day or b"none").decode(): whole for day, whole, _ in rows}
        return OrderNumbers(days, incomplete=sum(total - whole for _, whole, total in rows))

    async def uids(self, sample: int | None, seed: int) -> AsyncIterator[Sequence[str]]:
        """See ``OrderCensus.uids``."""
        if sample is not None:
            limit = await self._chunk_size()
            order = " ORDER BY md5(order_uid || %s::text), order_uid LIMIT %s"
            rows = await self._fetch(_WHOLE + order, [str(seed), sample])
            for at in range(0, len(rows), limit):
                yield [self._text(uid) for (uid,) in rows[at : at + limit]]
            return
        async for chunk in self._chunks(_CHUNK):
            if uids := [self._text(uid) for uid, is_whole in chunk if is_whole]:
                yield uids

    async def known(self, order_uids: Sequence[str]) -> set[str]:
        """See ``OrderCensus.known``."""
        rows = await self._fetch(_WHOLE + _NAMED, {"uids": self._bytes(order_uids)})
        return {self._text(uid) for (uid,) in rows}

    async def documents(self, order_uids: Sequence[str]) -> AsyncIterator[Mapping[str, bytes]]:
        """See ``OrderCensus.documents``."""
        async for documents in self._read(self._bytes(order_uids)):
            yield dict(documents)

    async def _chunks(self, query: str) -> AsyncIterator[list[Any]]:
        """Yield what this query selects of all orders, order_uids first."""
        limit = await self._chunk_size()
        after: bytes | None = None
        while True:
            where, parameters = ("", []) if after is None else (_AFTER, [after])
            rows = await self._fetch(query.format(where, limit), parameters)
            if not rows:
                return
            yield rows
            after = rows[-1][0]

    async def _read(self, order_uids: Sequence[bytes]) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Yield the documents of these orders, ``_BYTES`` of them at a time."""
        sizes = await self._fetch(_SIZES, {"uids": order_uids})
        for some in parts_within(_BYTES, sizes):
            yield [
                (self._text(uid), self._utf8(document))
                for uid, document in await self._fetch(_DOCUMENTS, {"uids": some})
            ]

    async def _chunk_size(self) -> int:
        ((is_indexed,),) = await self._fetch(_IS_INDEXED)
        return BATCH if is_indexed else _UNINDEXED

    async def _fetch(self, query: str, parameters: Params = ()) -> list[Any]:
        with _translated_errors():
            return await _fetch(self._connection, query, parameters)

    def _text(self, uid: bytes) -> str:
        """Decode an order_uid; bytes that are no characters become lone surrogates."""
        return uid.decode(self._codec, "surrogateescape")

    def _bytes(self, order_uids: Sequence[str]) -> list[bytes]:
        """Encode those order_uids that the database can have."""
        encoded = []
        for uid in order_uids:
            with suppress(UnicodeEncodeError):
                encoded.append(uid.encode(self._codec, "surrogateescape"))
        return encoded

    def _utf8(self, document: bytes) -> bytes:
        """Return a document in UTF-8.

        Bytes that are no characters become what is not UTF-8 either: reading refuses the order.
        """
        if self._codec == "utf-8":
            return document
        return document.decode(self._codec, "surrogateescape").encode(errors="surrogatepass")


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        told = translated(error)
        raise type(told)(f"the old database: {told}") from sanitize(error)


async def _require_old_tables(connection: AsyncConnection, own_dsn: str | None) -> None:
    found = {
        (table.decode(), column.decode()): kind.decode()
        for table, column, kind in await _fetch(connection, _COLUMNS)
    }
    advice = (
        "name the schema of the old tables in the DSN (options=-csearch_path=NAME), "
        "or use another database for the new ones"
    )
    if ("items", "position") in found:
        raise Invalid(f"the tables at the old DSN are those of this service: {advice}")
    for (table, column), kinds in _EXPECTED.items():
        if not any(name == table for name, _ in found):
            raise Invalid(f"the old database has no table {table}, or no right to see it")
        kind = found.get((table, column))
        if kind is None:
            raise Invalid(f"the old table {table} has no column {column}")
        if kind not in kinds:
            allowed = " or ".join(sorted(kinds))
            raise Invalid(f"the old column {table}.{column} is {kind}, expected {allowed}")
    if own_dsn is not None:
        async with await _connect(own_dsn) as own:
            if await _fetch(own, _IDENTITY) == await _fetch(connection, _IDENTITY):
                raise Invalid(f"ORDERS_POSTGRES_DSN leads to the old tables too: {advice}")


async def _connect(dsn: str) -> AsyncConnection:
    connection = await AsyncConnection.connect(
        dsn,
        autocommit=True,
        prepare_threshold=None,
        client_encoding="UTF8",
        connect_timeout=conninfo_to_dict(dsn).get("connect_timeout", 5),
        fallback_application_name="orders-legacy",
    )
    # No conversion by the server: one byte without a character fails the whole statement. Python
    # lacks two of the encodings.
    await connection.execute(
        "SELECT set_config('client_encoding', getdatabaseencoding(), false)"
        " WHERE getdatabaseencoding() NOT IN ('EUC_TW', 'MULE_INTERNAL')"
    )
    for name in ("json", "text", "varchar"):
        connection.adapters.register_loader(name, BytesLoader)
    connection.adapters.register_dumper(bytes, _TextDumper)
    return connection


class _TextDumper(BytesBinaryDumper):
    """Sends bytes as text in the client's encoding, which need not be valid.

    Instead, convert_from could make text of bytes. It has the collation C, by which the server
    would compare, past the index and in another order than it sorts by: orders would be missed.
    """

    oid = postgres.types["text"].oid


async def _fetch(connection: AsyncConnection, query: str, parameters: Params = ()) -> list[Any]:
    # Settings of the transaction alone, so that poolers are no obstacle.
    async with connection.transaction(), connection.cursor(binary=True) as cursor:
        await connection.execute(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;"
            f"SET LOCAL statement_timeout = '{_STATEMENT_TIMEOUT}'; SET LOCAL TimeZone = 'UTC';"
            "SET LOCAL DateStyle = 'ISO'".encode()
        )
        await cursor.execute(query.encode(), parameters or None)
        return await cursor.fetchall()
