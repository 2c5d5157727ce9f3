"""A page is one seek in an index, whatever the filter: proved by the server's own plans."""

import itertools
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from orders.adapters.postgres import erasure, order_events, read_sql
from orders.adapters.postgres.order_repository import PostgresOrderRepository
from orders.adapters.postgres.read_sql import DOCUMENTS, DOCUMENTS_WITHIN, PAGE_BYTES, page_query
from orders.adapters.postgres.session import PLANNING
from orders.domain.order.queries import Cursor, OrderQuery, View
from tests.contracts.order_repository import numbered
from tests.integration.postgres_fixtures import create_database, drop_database

ROWS = 100_000
START = datetime(2024, 1, 1, tzinfo=UTC)
MIDDLE = START + timedelta(seconds=ROWS // 2)
DEEP = START + timedelta(seconds=ROWS // 20)
END = START + timedelta(seconds=ROWS)

# Customer 0 has half of all orders, the others 50 each: a plan must do for both.
SEED = f"""
    INSERT INTO orders
    SELECT 'uid-' || n, 'track-' || n % 2000, '', '', '',
           'customer-' || CASE WHEN n % 2 = 0 THEN 0 ELSE n % 2000 END, '', '', 0,
           timestamptz '2024-01-01 00:00:00+00' + n * interval '1 second', ''
    FROM generate_series(1, {ROWS}) AS n
"""

# Far more than a page has orders.
TOMBSTONES = """
    INSERT INTO orders
    SELECT 'gone-' || n, '', '', '', '', '', '', '', 0, '-infinity', '',
           timestamptz '2025-01-01 00:00:00+00' + n * interval '1 second'
    FROM generate_series(1, 50000) AS n
"""

QUERIES = {
    "all": (OrderQuery(), "orders_newest_idx"),
    "customer": (OrderQuery(customer_id="customer-7"), "orders_customer_id_idx"),
    "busy customer": (OrderQuery(customer_id="customer-0"), "orders_customer_id_idx"),
    "track": (OrderQuery(track_number="track-11"), "orders_track_number_idx"),
    "uid": (OrderQuery(order_uid="uid-77"), "orders_pkey"),
    "from": (OrderQuery(created_from=MIDDLE), "orders_newest_idx"),
    "to": (OrderQuery(created_to=MIDDLE), "orders_newest_idx"),
    "from and to": (
        OrderQuery(created_from=MIDDLE, created_to=MIDDLE + timedelta(hours=1)),
        "orders_newest_idx",
    ),
    "customer, from and to": (
        OrderQuery(
            customer_id="customer-0", created_from=MIDDLE, created_to=MIDDLE + timedelta(hours=1)
        ),
        "orders_customer_id_idx",
    ),
}


@pytest.fixture(scope="module")
def connection(postgres_dsn: str, template_database: str) -> Iterator[psycopg.Connection]:
    dsn = create_database(postgres_dsn, template_database)
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as opened:
        opened.execute(SEED)
        for table in ("delivery", "payments", "items"):
            columns = "''" + ", ''" * 6
            if table == "payments":
                columns = "'', '', '', '', 0, 0, '', 0, 0, 0"
            if table == "items":
                columns = "0, 0, '', 0, '', '', 0, '', 0, 0, '', 0"
            opened.execute(f"INSERT INTO {table} SELECT order_uid, {columns} FROM orders")
        opened.execute(TOMBSTONES)
        opened.execute("VACUUM ANALYZE")
        plan_as_sessions_do(opened)
        yield opened
    drop_database(postgres_dsn, dsn)


def plan_as_sessions_do(connection: psycopg.Connection) -> None:
    for setting, value in PLANNING.items():
        connection.execute("SELECT set_config(%s, %s, false)", [setting, value])


def explain(connection: psycopg.Connection, statement: bytes, parameters: list[Any]) -> Any:
    """The executed plan of a prepared statement, made without a look at the parameters."""
    numbers = itertools.count(1)
    text = statement.decode().replace("%(order_uids)s", "%s")
    text = text.replace("%(sizes)s", "array_fill(8192, ARRAY[200])")
    while "%s" in text:
        text = text.replace("%s", f"${next(numbers)}", 1)
    connection.execute("DEALLOCATE ALL")
    connection.execute(f"PREPARE question AS {text}".encode())
    values = ", ".join(psycopg.sql.Literal(value).as_string(connection) for value in parameters)
    call = f"({values})" if values else ""
    cursor = connection.execute(
        f"EXPLAIN (ANALYZE, BUFFERS, TIMING off, FORMAT json) EXECUTE question{call}".encode()
    )
    row = cursor.fetchone()
    assert row
    return row[0][0]["Plan"]


def nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def scan_of_orders(plan: Any) -> Any:
    """The only one, or the one beside that of the latest tombstone, which reads a row once."""
    scan, *latest = sorted(
        (node for node in nodes(plan) if node.get("Relation Name") == "orders"),
        key=lambda node: node["Index Name"] == "orders_forgotten_at_idx",
    )
    assert len(latest) <= 1
    for one in latest:
        assert one["Index Name"] == "orders_forgotten_at_idx"
        assert one["Actual Rows"] * one["Actual Loops"] <= 1
        assert one["Shared Hit Blocks"] + one["Shared Read Blocks"] <= 4
    return scan


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("after", [None, Cursor(MIDDLE + timedelta(minutes=30), "uid-51800")])
@pytest.mark.parametrize("limit", [20, 501])
@pytest.mark.parametrize("view", View)
def test_a_page_is_one_seek(
    connection: psycopg.Connection, name: str, after: Cursor | None, limit: int, view: View
) -> None:
    query, index = QUERIES[name]
    query = msgspec.structs.replace(query, view=view)
    question = page_query(query, limit, after)
    plan = explain(connection, question.statement, question.parameters)
    scan = scan_of_orders(plan)
    assert scan["Index Name"] == index
    assert scan["Actual Rows"] <= limit
    assert scan.get("Rows Removed by Filter", 0) <= limit
    # Only the one order of an order_uid may be sorted.
    sorts = [node for node in nodes(plan) if "Sort" in node["Node Type"]]
    assert name == "uid" or not sorts
    if after and name != "uid":
        # One upper bound, the nearer: here a cursor, unless it lies behind what is asked for.
        assert ("ROW(date_created, order_uid) <" in scan["Index Cond"]) == (name != "to")
        assert "date_created <" not in scan["Index Cond"] or name == "to"
    assert not [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"]


@pytest.mark.parametrize(
    "query",
    [
        OrderQuery(),
        OrderQuery(created_to=END),
        OrderQuery(created_from=START, created_to=END),
        OrderQuery(customer_id="customer-0", created_to=END),
    ],
)
def test_the_last_page_costs_no_more_than_the_first(
    connection: psycopg.Connection, query: OrderQuery
) -> None:
    question = page_query(query, 20, Cursor(DEEP, "uid"))
    plan = explain(connection, question.statement, question.parameters)
    scan = scan_of_orders(plan)
    assert scan["Actual Rows"] == 20
    assert scan["Shared Hit Blocks"] + scan["Shared Read Blocks"] < 50


def test_summaries_read_fewer_blocks_and_no_delivery(connection: psycopg.Connection) -> None:
    plans = {}
    for view in View:
        question = page_query(OrderQuery(view=view), 51, None)
        plans[view] = explain(connection, question.statement, question.parameters)
    blocks = {v: p["Shared Hit Blocks"] + p["Shared Read Blocks"] for v, p in plans.items()}
    assert blocks[View.SUMMARY] < blocks[View.FULL]
    tables = {node.get("Relation Name") for node in nodes(plans[View.SUMMARY])}
    assert tables == {None, "orders", "payments", "items"}


@pytest.mark.parametrize("amount", [1, 8, 200])
@pytest.mark.parametrize("statement", [DOCUMENTS, DOCUMENTS_WITHIN])
def test_a_look_up_reads_what_it_is_asked_for(
    connection: psycopg.Connection, statement: bytes, amount: int
) -> None:
    uids = [f"uid-{n * 97}" for n in range(1, amount + 1)]
    plan = explain(connection, statement, [uids])
    assert plan["Actual Rows"] == amount
    assert scan_of_orders(plan)["Index Name"] == "orders_pkey"
    assert not [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"]


@pytest.mark.parametrize("name", QUERIES)
async def test_a_plan_made_for_a_handful_of_orders_suits_millions(
    database_dsn: str, order_repository: PostgresOrderRepository, name: str
) -> None:
    await order_repository.save_many(numbered(3))
    query, index = QUERIES[name]
    with psycopg.connect(database_dsn, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("VACUUM ANALYZE")
        plan_as_sessions_do(connection)
        question = page_query(query, 20, None)
        page = explain(connection, question.statement, question.parameters)
        look_up = explain(connection, DOCUMENTS, [["uid-0001"]])
    assert scan_of_orders(page)["Index Name"] == index
    assert scan_of_orders(look_up)["Index Name"] == "orders_pkey"
    for plan in (page, look_up):
        assert not [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"]


async def test_a_page_reads_the_texts_of_no_more_orders_than_it_has_room_for(
    database_dsn: str, order_repository: PostgresOrderRepository
) -> None:
    many = numbered(20)
    text = random.Random(1).randbytes(500_000).hex()  # compressed it is half as long
    delivery = msgspec.structs.replace(many[0].delivery, city=text)
    large = [msgspec.structs.replace(order, delivery=delivery) for order in many]
    await order_repository.save_many(large)
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        plan_as_sessions_do(connection)
        question = page_query(OrderQuery(), 21, None)
        plan = explain(connection, question.statement, question.parameters)
    blocks = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    size = PAGE_BYTES / 8192
    assert size < blocks < 2 * size


@pytest.mark.parametrize("name", ["all", "to"])
def test_the_last_page_reads_no_tombstone(connection: psycopg.Connection, name: str) -> None:
    query, index = QUERIES[name]
    question = page_query(query, 20, Cursor(START + timedelta(seconds=6), "uid-6"))
    plan = explain(connection, question.statement, question.parameters)
    scan = scan_of_orders(plan)
    assert (scan["Index Name"], scan["Actual Rows"]) == (index, 5)
    assert scan.get("Rows Removed by Filter", 0) == 0
    assert scan["Shared Hit Blocks"] + scan["Shared Read Blocks"] < 20


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (erasure._AFTER, [datetime(2025, 1, 1, tzinfo=UTC), 5]),
        (erasure._AFTER, [datetime(2025, 6, 1, tzinfo=UTC), 5]),
        (read_sql.LATEST_TOMBSTONE, []),
        (erasure._NEXT_POSITION, []),
        (erasure._OLD_TOMBSTONES, [datetime(2025, 1, 1, 1, tzinfo=UTC), 5]),
    ],
)
def test_tombstones_are_found_by_one_seek(
    connection: psycopg.Connection, statement: str, parameters: list[object]
) -> None:
    scan = scan_of_orders(explain(connection, statement.encode(), parameters))
    assert scan["Index Name"] == "orders_forgotten_at_idx"
    assert scan["Actual Rows"] <= 5
    assert scan["Shared Hit Blocks"] + scan["Shared Read Blocks"] < 20


def test_new_events_are_found_by_one_seek(connection: psycopg.Connection) -> None:
    row = connection.execute("SELECT max(stored_xid)::text FROM orders").fetchone()
    assert row is not None
    xid = str(int(row[0]) + 1)
    statement = re.sub(rb"%\(\w+\)s", b"%s", order_events._EVENTS)
    plan = explain(connection, statement, [xid, xid, "", 500])
    scans = {node["Index Name"]: node for node in nodes(plan) if "Index Name" in node}
    scan = scans["orders_stored_xid_idx"]
    assert scan["Actual Rows"] == 0
    assert scans["orders_forgotten_at_idx"]["Actual Loops"] == 0  # only where there are events
    assert scan["Shared Hit Blocks"] + scan["Shared Read Blocks"] < 20


def test_the_oldest_orders_are_found_by_one_seek(connection: psycopg.Connection) -> None:
    after = "AND (o.date_created, o.order_uid) > (%s, %s)"
    statement = erasure._OLDEST.format(after=after).encode()
    plan = explain(connection, statement, [MIDDLE, START + timedelta(seconds=9), "uid-9", 5])
    scan = scan_of_orders(plan)
    assert (scan["Index Name"], scan["Actual Rows"]) == ("orders_newest_idx", 5)
    assert scan["Scan Direction"] == "Backward"
    assert scan["Shared Hit Blocks"] + scan["Shared Read Blocks"] < 20
