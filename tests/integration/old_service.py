"""The tables of the service that this one replaces, and orders in them."""

from collections.abc import Sequence

import psycopg

TABLES = """
CREATE TABLE orders (
    order_uid varchar(255) PRIMARY KEY, track_number varchar(255), entry varchar(50),
    locale varchar(50), internal_signature varchar(255), customer_id varchar(255),
    delivery_service varchar(100), shardkey varchar(10), sm_id int4, date_created timestamptz,
    oof_shard varchar(10));
CREATE TABLE delivery (
    order_uid varchar(255) PRIMARY KEY REFERENCES orders, name varchar(255), phone varchar(20),
    zip varchar(20), city varchar(100), address text, region varchar(50), email varchar(50));
CREATE TABLE payments (
    order_uid varchar(255) PRIMARY KEY REFERENCES orders, transaction varchar(255),
    request_id varchar(255), currency varchar(10), provider varchar(50), amount int4,
    payment_dt int8, bank varchar(50), delivery_cost int4, goods_total int4, custom_fee int4);
CREATE TABLE items (
    item_id serial PRIMARY KEY, order_uid varchar(255) REFERENCES orders, chrt_id int4,
    track_number varchar(255), price int4, rid varchar(255), name varchar(255), sale int4,
    size varchar(50), total_price int4, nm_id int4, brand varchar(50), status int4);
"""

# One statement each for `first` to `last`, as the server fills a million in seconds.
_FILL = """
INSERT INTO orders SELECT 'old-' || lpad(n::text, 7, '0'), 'TRACK' || n, 'WBIL', 'en', NULL,
    'customer', 'meest', '9', 99, timestamptz '2021-11-26 06:22:19.25Z' + n * interval '1 min', 'ok'
    FROM generate_series({first}, {last}) n;
INSERT INTO delivery SELECT 'old-' || lpad(n::text, 7, '0'), 'Test Testov', '+972000000', '26',
    'Kiryat', 'Ploshad Mira 15', NULL, 'test@gmail.com' FROM generate_series({first}, {last}) n;
INSERT INTO payments SELECT 'old-' || lpad(n::text, 7, '0'), 'tx', NULL, 'USD', 'wbpay', 1817,
    1637907727, 'alpha', 1500, 317, 0 FROM generate_series({first}, {last}) n;
INSERT INTO items (order_uid, chrt_id, track_number, price, rid, name, sale, size, total_price,
    nm_id, brand, status)
    SELECT 'old-' || lpad(n::text, 7, '0'), i, 'TRACK', 453, 'rid', 'Mascaras', 30, '0', 317,
    2389212, 'Vivienne Sabo', 202
    FROM generate_series({first}, {last}) n, generate_series(1, {items}) i ORDER BY n, i DESC;
"""


def make_tables(dsn: str) -> None:
    """Make the empty tables."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(TABLES.encode())


def fill(dsn: str, first: int, last: int, items: int = 2) -> None:
    """Store the orders ``old-{first}`` to ``old-{last}``, the highest chrt_id of each first."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_FILL.format(first=first, last=last, items=items).encode())


def lengthen(dsn: str, extra: int, which: str = "true") -> None:
    """Put so many more letters into the addresses of the orders for which the condition holds."""
    execute(dsn, f"UPDATE delivery SET address = repeat('x', {extra}) || address WHERE {which}")


def rename(dsn: str, order_uids: Sequence[str]) -> None:
    """Give the orders of ``fill`` these order_uids, in their order."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # no foreign keys
        for table in ("orders", "delivery", "payments", "items"):
            connection.execute(
                f"UPDATE {table} SET order_uid = (%s::text[])[substr(order_uid, 5)::int]".encode(),
                [list(order_uids)],
            )


def execute(dsn: str, statement: str) -> None:
    """Run statements; they may be of any bytes that surrogateescape makes."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode(errors="surrogateescape"))
