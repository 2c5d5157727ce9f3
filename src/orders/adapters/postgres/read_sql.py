"""The queries that read orders.

PostgreSQL itself produces the canonical document, byte for byte the result of the domain's
``encode``: row_to_json writes no spaces, keeps the order of the columns and escapes as msgspec
does. So nothing is decoded or encoded here.
"""

from msgspec import Struct
from psycopg import sql

from orders.adapters.postgres.tables import scalars
from orders.domain.order.model import Delivery, Item, Order, Payment
from orders.domain.order.queries import Cursor, OrderQuery


class Query(Struct, frozen=True):
    """A statement and its parameters."""

    statement: bytes
    parameters: list[object]


def _columns(struct: type[Struct], alias: str) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, name) for name in scalars(struct))


_DELIVERY = sql.SQL(
    "(SELECT row FROM (SELECT {} FROM delivery t WHERE t.order_uid = o.order_uid) AS row)"
).format(_columns(Delivery, "t"))

_PAYMENT = sql.SQL(
    "(SELECT row FROM (SELECT {} FROM payments t WHERE t.order_uid = o.order_uid) AS row)"
).format(_columns(Payment, "t"))

_ITEMS = sql.SQL(
    "ARRAY(SELECT row FROM items t CROSS JOIN LATERAL (SELECT {}) AS row"
    " WHERE t.order_uid = o.order_uid ORDER BY t.position)"
).format(_columns(Item, "t"))

# The instant as msgspec writes it: six fractional digits, or none if all are 0.
_INSTANT = sql.SQL(
    "replace(to_char(o.date_created AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
    " '.000000Z', 'Z')"
)

_SPECIAL = {
    "delivery": _DELIVERY,
    "payment": _PAYMENT,
    "items": _ITEMS,
    "date_created": _INSTANT,
}


def _document_field(name: str) -> sql.Composed:
    value = _SPECIAL.get(name, sql.Identifier("o", name))
    return sql.SQL("{} AS {}").format(value, sql.Identifier(name))


_DOCUMENT = sql.SQL("CROSS JOIN LATERAL (SELECT {}) AS document").format(
    sql.SQL(", ").join(map(_document_field, Order.__struct_fields__))
)

# A lateral join, not ANY(...): for ANY, a plan made while there are few orders scans another index
# that ends with order_uid, and stays cached.
DOCUMENTS = (
    sql.SQL(
        "SELECT o.order_uid, row_to_json(document) FROM unnest(%s::text[]) AS wanted (order_uid)"
        " CROSS JOIN LATERAL ("
        "SELECT * FROM orders WHERE orders.order_uid = wanted.order_uid OFFSET 0"
        ") AS o {}"
    )
    .format(_DOCUMENT)
    .as_bytes()
)
"""Selects order_uid and document of orders; its parameter is a list of distinct order_uids."""

_PAGE = (
    sql.SQL(
        "SELECT o.order_uid, o.date_created, row_to_json(document) FROM ("
        "SELECT * FROM orders o {{}} ORDER BY o.date_created DESC, o.order_uid DESC {{}}"
        ") AS o {} ORDER BY o.date_created DESC, o.order_uid DESC"
    )
    .format(_DOCUMENT)
    .as_string()
)


def page_query(query: OrderQuery, limit: int, after: Cursor | None) -> Query:
    """Select order_uid, date_created and document of at most ``limit`` orders after ``after``."""
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
    if before is not None:
        # A row comparison, so that it is a seek in the index.
        texts.append("(o.date_created, o.order_uid) < (%s, %s)")
        parameters += [before.date_created, before.order_uid]
    where = "WHERE " + " AND ".join(texts) if texts else ""
    # A literal limit: without its value the planner expects to read a tenth of the table.
    return Query(_PAGE.format(where, f"LIMIT {limit:d}").encode(), parameters)
