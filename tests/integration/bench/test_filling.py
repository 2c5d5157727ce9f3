"""A database that the bench fills without indexes has them all afterwards."""

import json
from pathlib import Path

import psycopg

from bench.documents import digests, make, rows
from bench.place import Place
from bench.sizes import QUICK
from drills.stored import write_order

_SCHEMA = """
    SELECT conname AS name, pg_get_constraintdef(oid) AS definition, convalidated
    FROM pg_constraint
    WHERE conrelid = ANY ('{orders,delivery,payments,items}'::regclass[]) AND contype IN ('p', 'f')
    UNION ALL
    SELECT indexname, indexdef, true FROM pg_indexes WHERE schemaname = 'public'
    ORDER BY name, definition
"""


def schema(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(_SCHEMA).fetchall()


def test_keys_and_indexes_are_there_again(database_dsn: str, tmp_path: Path) -> None:
    place = Place(tmp_path, QUICK, lambda _text: None)
    before = schema(database_dsn)
    made = make(0, 3)
    with place.without_indexes(database_dsn):
        during = schema(database_dsn)
        with psycopg.connect(database_dsn) as connection:
            for value in made.values:
                write_order(connection, json.loads(value))
    gone = {name for name, *_ in before} - {name for name, *_ in during}
    assert {"orders_pkey", "items_order_uid_fkey", "orders_newest_idx"} <= gone
    assert schema(database_dsn) == before
    assert place.digests(database_dsn) == digests(rows(made.values))
