"""The queries that read orders.

PostgreSQL itself produces the canonical document, byte for byte the result of the domain's
``encode``: row_to_json writes no spaces, keeps the order of the columns and escapes as msgspec
does. So nothing is decoded or encoded here.
"""

from msgspec import Struct
from psycopg import sql

from orders.adapters.postgres.tables import scalars
from orders.domain.order.model import Delivery, Item, Order, Payment
from orders.domain.order.queries import Cursor, OrderQuery, View
from orders.domain.order.summary import CURRENCY_LENGTH, OrderSummary


class Query(Struct, frozen=True):
    """A statement and its parameters."""

    statement: bytes
    parameters: list[object]


def _columns(struct: type[Struct], alias: str) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, name) for name in scalars(struct))


# The instant as msgspec writes it: six fractional digits, or none if all are 0.
_INSTANT = sql.SQL(
    "replace(to_char(o.date_created AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
    " '.000000Z', 'Z')"
)


_NOTHING = sql.SQL("")


def _rows(
    table: str, struct: type[Struct], among: sql.SQL, order: sql.SQL = _NOTHING
) -> sql.Composed:
    return sql.SQL(
        "SELECT row FROM (SELECT {} FROM {} t WHERE t.order_uid = o.order_uid {} {}) AS row"
    ).format(_columns(struct, "t"), sql.Identifier(table), among, order)


def _fields(among: sql.SQL = _NOTHING) -> sql.Composed:
    """The fields of the document of ``orders o``; ``among`` restricts the rows of its parts."""
    items = _rows("items", Item, among, sql.SQL("ORDER BY t.position"))
    special = {
        "delivery": sql.SQL("({})").format(_rows("delivery", Delivery, among)),
        "payment": sql.SQL("({})").format(_rows("payments", Payment, among)),
        "items": sql.SQL("ARRAY({})").format(items),
        "date_created": _INSTANT,
    }
    return sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(
            special.get(name, sql.Identifier("o", name)), sql.Identifier(name)
        )
        for name in Order.__struct_fields__
    )


def summary_fields(
    among: sql.SQL = _NOTHING, date_created: sql.Composable = _INSTANT
) -> sql.Composed:
    """The fields of the summary of ``orders o``: no row of delivery, and no row of items itself.

    Subqueries are index scans, whatever the planner believes of a join.
    """
    part = sql.SQL("(SELECT {} FROM {} t WHERE t.order_uid = o.order_uid {})")
    special = {
        "date_created": date_created,
        "amount": part.format(sql.SQL("t.amount"), sql.Identifier("payments"), among),
        "currency": part.format(
            sql.SQL("left(t.currency, {})").format(CURRENCY_LENGTH),
            sql.Identifier("payments"),
            among,
        ),
        # The index tells the last position of an order's items; to count them, all would be read.
        "item_count": part.format(
            sql.SQL("coalesce(max(t.position) + 1, 0)"), sql.Identifier("items"), among
        ),
    }
    return sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(
            special.get(name, sql.Identifier("o", name)), sql.Identifier(name)
        )
        for name in OrderSummary.__struct_fields__
    )


_FIELDS = {View.FULL: _fields, View.SUMMARY: summary_fields}


LATEST_TOMBSTONE = "SELECT max(forgotten_at) FROM orders WHERE forgotten_at IS NOT NULL"
"""As a part of a statement it is read once, from the end of an index, and in the same snapshot."""

_LATEST_TOMBSTONE = sql.SQL("({})").format(sql.SQL(LATEST_TOMBSTONE))


def _documents(wanted: sql.SQL, column: sql.Composable) -> bytes:
    # A lateral join, not ANY(...): for ANY, a plan made while there are few orders scans another
    # index that ends with order_uid, and stays cached.
    return (
        sql.SQL(
            "SELECT o.order_uid, {}, {} FROM {} CROSS JOIN LATERAL ("
            "SELECT * FROM orders WHERE orders.order_uid = wanted.order_uid OFFSET 0"
            ") AS o CROSS JOIN LATERAL (SELECT {}) AS document"
        )
        .format(column, _LATEST_TOMBSTONE, wanted, _fields())
        .as_bytes()
    )


def _least_size(most: sql.SQL) -> sql.Composed:
    """The bytes that the document of ``orders o`` has at least: its texts, and some for each item.

    Of items, no more than make ``most`` bytes are counted. Long texts are not read: PostgreSQL
    keeps their lengths.
    """

    def texts(struct: type[Struct], alias: str) -> sql.Composed:
        return sql.SQL(" + ").join(
            sql.SQL("octet_length({})").format(sql.Identifier(alias, name))
            for name, kind in scalars(struct).items()
            if kind == "text"
        )

    row = sql.SQL("coalesce((SELECT {} FROM {} t WHERE t.order_uid = o.order_uid), 0)")
    items = sql.SQL(
        "coalesce((SELECT sum({bytes} + {texts}) FROM ("
        "SELECT * FROM items t WHERE t.order_uid = o.order_uid LIMIT 1 + {most} / {bytes}"
        ") AS t), 0)"
    ).format(bytes=_ITEM_BYTES, texts=texts(Item, "t"), most=most)
    return sql.SQL(" + ").join(
        [
            texts(Order, "o"),
            row.format(texts(Delivery, "t"), sql.Identifier("delivery")),
            row.format(texts(Payment, "t"), sql.Identifier("payments")),
            items,
        ]
    )


_ITEM_BYTES = 127
"""Bytes of an item in a document, if its texts are empty and its numbers have one digit."""

_MADE_IF = sql.SQL("CASE WHEN {} <= {} THEN row_to_json(document) END")

DOCUMENTS = _documents(
    sql.SQL("unnest(%(order_uids)s::text[]) AS wanted (order_uid)"),
    sql.SQL("row_to_json(document)"),
)
"""Selects order_uid and document of orders, and beside each the time of the latest tombstone;
``order_uids`` is a list of distinct ones."""

DOCUMENTS_WITHIN = _documents(
    sql.SQL("unnest(%(order_uids)s::text[], %(sizes)s::int8[]) AS wanted (order_uid, size)"),
    _MADE_IF.format(_least_size(sql.SQL("wanted.size")), sql.SQL("wanted.size")),
)
"""The same, with null in place of documents that by their texts and the number of their items have
more bytes than ``sizes`` says, a list like the other."""


def _distributed(column: sql.Composable, view: View = View.FULL) -> bytes:
    # Citus plans no lateral join with a function. The condition on every table lets it leave out
    # the shards that hold none of the orders: otherwise even one order is asked of all of them.
    among = sql.SQL("AND t.order_uid = ANY(%(order_uids)s::text[])")
    return (
        sql.SQL(
            "SELECT document.order_uid, {} FROM ("
            "SELECT {} FROM orders o WHERE o.order_uid = ANY(%(order_uids)s::text[])"
            ") AS document"
        )
        .format(column, _FIELDS[view](among))
        .as_bytes()
    )


DISTRIBUTED_DOCUMENTS = _distributed(sql.SQL("row_to_json(document)"))
"""Does the same as ``DOCUMENTS`` where the tables are distributed, but not the latest tombstone:
every shard would be asked for it."""

DISTRIBUTED_DOCUMENTS_WITHIN = _distributed(
    _MADE_IF.format(
        sql.SQL("octet_length(row_to_json(document)::text)"),
        sql.SQL("(%(sizes)s::int8[])[array_position(%(order_uids)s::text[], document.order_uid)]"),
    )
)
"""As ``DOCUMENTS_WITHIN``, but makes each document to know its size."""

DISTRIBUTED_SUMMARIES = _distributed(sql.SQL("row_to_json(document)"), View.SUMMARY)
"""Selects order_uid and summary."""

DISTRIBUTED_SIZES = _distributed(sql.SQL("pg_column_size(row_to_json(document))"))
"""Selects the sizes of the documents."""

DISTRIBUTED_SUMMARY_SIZES = _distributed(
    sql.SQL("pg_column_size(row_to_json(document))"), View.SUMMARY
)
"""Selects the sizes of the summaries."""

UIDS_BY_WORKER = b"""
    SELECT array_agg(uid) FROM unnest(%(order_uids)s::text[]) AS uid
    JOIN pg_dist_placement ON shardid = get_shard_id_for_distribution_column('orders', uid)
    GROUP BY groupid
"""
"""Groups order_uids by the worker of a Citus cluster that holds them."""

NO_TOMBSTONE = "o.date_created > '-infinity'"
"""The condition on ``orders o`` that leaves out tombstones, whose date is before all others."""

PAGE_BYTES = 4_194_304
"""Documents of a page, as many as begin within this; a thousand of the largest orders would take
gigabytes."""

MOST_ITEMS = 20_000
"""Items of the orders that are read at once for a page, as many as begin within this: PostgreSQL
takes a microsecond for each. Texts are added up for no more of them, and documents made of those
alone whose texts begin within the room of the page."""

_SO_FAR = sql.SQL("OVER (ORDER BY date_created DESC, order_uid DESC ROWS UNBOUNDED PRECEDING)")

# The last position stands for the number of items, as in summaries.
_WITH_ITEMS_BEFORE = sql.SQL(
    "SELECT o.*, sum(last) {} - last AS items_before FROM ({{}}) AS o"
    " CROSS JOIN LATERAL (SELECT coalesce(max(t.position), 0) AS last FROM items t"
    " WHERE t.order_uid = o.order_uid) AS items"
).format(_SO_FAR)
# OFFSET 0, else PostgreSQL would add the texts up twice.
_WITH_BYTES_BEFORE = sql.SQL(
    "SELECT o.*, sum(bytes) {} - bytes AS bytes_before FROM ("
    "SELECT o.*, CASE WHEN items_before < {} THEN {} END AS bytes FROM ({}) AS o"
    " ORDER BY date_created DESC, order_uid DESC OFFSET 0) AS o"
).format(_SO_FAR, MOST_ITEMS, _least_size(sql.SQL("{room:d}")), _WITH_ITEMS_BEFORE)


def _page(view: View) -> str:
    """The query for a page of the orders of a selection, which is to be filled in."""
    orders: sql.Composable = sql.SQL("{}")
    is_made: sql.Composable = sql.SQL("true")
    if view is View.FULL:
        orders = _WITH_BYTES_BEFORE
        is_made = sql.SQL("o.bytes_before < {room:d}")
    # OFFSET 0, else PostgreSQL would make each document twice.
    query = sql.SQL(
        "SELECT order_uid, date_created, CASE WHEN sum(pg_column_size(document)) {so_far}"
        " - pg_column_size(document) < {{room:d}} THEN document END, {latest} FROM ("
        "SELECT o.order_uid, o.date_created,"
        " CASE WHEN {is_made} THEN row_to_json(document) END AS document"
        " FROM ({orders}) AS o CROSS JOIN LATERAL (SELECT {fields}) AS document"
        " ORDER BY o.date_created DESC, o.order_uid DESC OFFSET 0"
        ") AS page ORDER BY date_created DESC, order_uid DESC"
    )
    fields = _FIELDS[view]()
    return query.format(
        so_far=_SO_FAR, latest=_LATEST_TOMBSTONE, is_made=is_made, orders=orders, fields=fields
    ).as_string()


_PAGES = {view: _page(view) for view in View}
_SELECTION = "SELECT {} FROM orders o {} ORDER BY o.date_created DESC, o.order_uid DESC LIMIT {:d}"


def page_query(
    query: OrderQuery, limit: int, after: Cursor | None, room: int = PAGE_BYTES
) -> Query:
    """Select order_uid, date_created and document (or summary) of at most ``limit`` orders.

    The time of the latest tombstone stands beside each.

    Documents that do not begin within ``room`` bytes, or ``MOST_ITEMS``, are null.
    """
    selection, parameters = _selection("*", query, limit, after)
    return Query(_PAGES[query.view].format(selection, room=room).encode(), parameters)


def keys_query(query: OrderQuery, limit: int, after: Cursor | None) -> Query:
    """As ``page_query``, without the documents: Citus plans no join with a limited selection."""
    selection, parameters = _selection("o.order_uid, o.date_created", query, limit, after)
    return Query(selection.encode(), parameters)


def _selection(
    columns: str, query: OrderQuery, limit: int, after: Cursor | None
) -> tuple[str, list[object]]:
    before, created_to = after, query.created_to
    if after is not None and created_to is not None:
        # Only the nearer of the two bounds: given both, PostgreSQL starts at the first one, and
        # would scan from created_to to the cursor for every page.
        if after.date_created < created_to:
            created_to = None
        else:
            before = None
    conditions = {
        "o.order_uid = %s": query.order_uid,
        "o.customer_id = %s": query.customer_id,
        "o.track_number = %s": query.track_number,
        "o.date_created >= %s": query.created_from,
        "o.date_created < %s": created_to,
    }
    given = {text: value for text, value in conditions.items() if value is not None}
    texts, parameters = list(given), list[object](given.values())
    if query.created_from is None:
        # A bound of the index, so that a page ends before the tombstones instead of reading them.
        texts.append(NO_TOMBSTONE)
    if before is not None:
        # A row comparison, so that it is a seek in the index.
        texts.append("(o.date_created, o.order_uid) < (%s, %s)")
        parameters += [before.date_created, before.order_uid]
    where = "WHERE " + " AND ".join(texts)
    # A literal limit: without its value the planner expects to read a tenth of the table.
    return _SELECTION.format(columns, where, limit), parameters
