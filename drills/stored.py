"""What PostgreSQL holds, read from its four tables by SQL of our own."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from drills.expectations import Document

_DELIVERY = ("name", "phone", "zip", "city", "address", "region", "email")
_PAYMENT_TEXTS = ("transaction", "request_id", "currency", "provider", "bank")
_PAYMENT_INTS = ("amount", "payment_dt", "delivery_cost", "goods_total", "custom_fee")
_ITEM_TEXTS = ("track_number", "rid", "name", "size", "brand")
_ITEM_INTS = ("chrt_id", "price", "sale", "total_price", "nm_id", "status")
_ORDER_TEXTS = (
    *("order_uid", "track_number", "entry", "locale", "internal_signature", "customer_id"),
    *("delivery_service", "shardkey"),
)


def read_orders(dsn: str) -> dict[str, Document]:
    """Every order by its uid, parts that are missing left out, so that half ones are seen."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def rows(table: str, order: str = "order_uid") -> list[dict[str, Any]]:
            statement = f"SELECT * FROM {table} ORDER BY {order}"  # a name of ours
            return connection.execute(statement.encode()).fetchall()

        # None is forgotten in a drill; the others have nothing in this column.
        orders = {
            row["order_uid"]: row
            for row in rows("orders")
            if row.pop("stored_xid") and row.pop("forgotten_at") is None
        }
        parts = {name: rows(name) for name in ("delivery", "payments")}
        items = rows("items", "order_uid, position")
    for table, name in (("delivery", "delivery"), ("payments", "payment")):
        for row in parts[table]:
            orders[row.pop("order_uid")][name] = row
    positions: dict[str, list[int]] = defaultdict(list)
    for order in orders.values():
        order["items"] = []
    for row in items:
        uid = row.pop("order_uid")
        positions[uid].append(row.pop("position"))
        orders[uid]["items"].append(row)
    for uid, found in positions.items():
        if found != list(range(len(found))):
            orders[uid]["items"] = f"at the positions {found}"
    return orders


def write_order(connection: psycopg.Connection[Any], document: Document) -> None:
    """Insert a valid order as its rows, in the transaction that ``connection`` is in."""
    order = as_stored(document)
    uid = order["order_uid"]
    delivery, payment, items = (order.pop(name) for name in ("delivery", "payment", "items"))
    _insert(connection, "orders", order)
    _insert(connection, "delivery", {"order_uid": uid} | delivery)
    _insert(connection, "payments", {"order_uid": uid} | payment)
    for position, item in enumerate(items):
        _insert(connection, "items", {"order_uid": uid, "position": position} | item)


def _insert(connection: psycopg.Connection[Any], table: str, row: dict[str, Any]) -> None:
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join([sql.Placeholder()] * len(row)),
    )
    connection.execute(statement, list(row.values()))


def as_stored(document: Document) -> Document:
    """What ``read_orders`` is to give for a valid document, by the rules of the document."""
    order: Document = {name: document.get(name) or "" for name in _ORDER_TEXTS}
    shard = document.get("oof_shard")
    if "oof_shard" not in document and isinstance(document.get("status"), str):
        shard = document["status"]
    order |= {
        "oof_shard": shard or "",
        "sm_id": document["sm_id"],
        "date_created": instant(document["date_created"]),
        "delivery": {name: document["delivery"].get(name) or "" for name in _DELIVERY},
        "payment": {name: document["payment"].get(name) or "" for name in _PAYMENT_TEXTS}
        | {name: document["payment"][name] for name in _PAYMENT_INTS},
    }
    order["items"] = [
        {name: item.get(name) or "" for name in _ITEM_TEXTS}
        | {name: item[name] for name in _ITEM_INTS}
        for item in document["items"]
    ]
    return order


def instant(text: str) -> datetime:
    """RFC 3339 to the microsecond, a finer fraction rounded to the nearest, a half upwards.

    Raises:
        ValueError: there is no such day, hour or offset.
        OverflowError: in UTC it lies outside the years 1 to 9999.
    """
    whole, point, rest = text.partition(".")
    if not point:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    digits = rest[: next((i for i, c in enumerate(rest) if not c.isdigit()), len(rest))]
    zone = rest[len(digits) :].upper()
    moment = datetime.fromisoformat(whole.upper() + zone).astimezone(UTC)
    rounded_up = digits[6:7] >= "5"
    return moment + timedelta(microseconds=int(f"{digits[:6]:0<6}") + rounded_up)
