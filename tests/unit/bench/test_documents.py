"""The orders of the bench are valid, and the expected rows of the tables are right."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

import bench
from bench.documents import (
    COLUMNS,
    digests,
    make,
    other_content,
    rows,
    uid_of,
    write,
    write_many,
)
from drills.stored import as_stored
from orders.domain.intake.reading import read
from orders.domain.order.model import Delivery, Item, Order, Payment

BENCH = Path(bench.__file__).parent


def test_orders_are_the_same_each_time_and_of_their_own_numbers() -> None:
    made = make(7, 20)
    assert make(7, 20) == made
    assert made.uids == [uid_of(number) for number in range(7, 27)]
    assert [json.loads(value)["order_uid"] for value in made.values] == made.uids
    assert len(set(made.uids)) == 20


def test_arrays_hold_the_same_orders() -> None:
    made = make(0, 250)
    assert [len(json.loads(array)) for array in made.arrays] == [100, 100, 50]
    assert [each for array in made.arrays for each in json.loads(array)] == [
        json.loads(value) for value in made.values
    ]


def test_a_conflict_has_the_uid_and_another_content() -> None:
    [value] = make(3, 1).values
    ours, theirs = json.loads(value), json.loads(other_content(value))
    assert ours["order_uid"] == theirs["order_uid"]
    assert as_stored(ours) != as_stored(theirs)


def test_rows_hold_every_field() -> None:
    [value] = make(5, 1).values
    document = json.loads(value)
    found = rows([value])
    for table, columns in COLUMNS.items():
        for line in found[table]:
            assert line.endswith("\n")
            cells = line.rstrip("\n").split("\t")
            assert len(cells) == len(columns)
            assert cells[0] == document["order_uid"]
    assert len(found["items"]) == len(document["items"])
    own = document.keys() - {"delivery", "payment", "items"}
    parts = {"orders": own, "delivery": document["delivery"], "payments": document["payment"]}
    for table, fields in (parts | {"items": document["items"][0]}).items():
        assert set(COLUMNS[table]) - {"position"} == {"order_uid", *fields}


@pytest.mark.parametrize("file", ["look_up.sql", "plain_service/models.py"])
def test_what_the_product_is_measured_beside_has_every_field(file: str) -> None:
    names = Counter(re.findall(r"\w+", BENCH.joinpath(file).read_text()))
    fields = Counter(
        name for part in (Order, Delivery, Payment, Item) for name in part.__struct_fields__
    )
    assert fields <= names


def test_texts_are_escaped_as_copy_wants_it() -> None:
    [value] = make(5, 1).values
    document = json.loads(value) | {"locale": "a\tb\\c\nd\re"}
    [line] = rows([json.dumps(document).encode()])["orders"]
    assert "a\\tb\\\\c\\nd\\re" in line
    assert line.count("\n") == 1


def test_digests_do_not_depend_on_the_order_in_which_rows_came() -> None:
    made = make(0, 30)
    assert digests(rows(made.values)) == digests(rows(reversed(made.values)))
    assert digests(rows(made.values)) != digests(rows(made.values[1:]))


def test_files_hold_the_rows(tmp_path: Path) -> None:
    held = rows(make(0, 5).values)
    files = write(held, tmp_path)
    assert {table: files[table].read_text() for table in held} == {
        table: "".join(lines) for table, lines in held.items()
    }


def test_many_orders_have_what_must_be_their_own(tmp_path: Path) -> None:
    files = write_many(50, tmp_path)
    lines = {table: files[table].read_text().splitlines() for table in COLUMNS}
    for table in ("orders", "delivery", "payments"):
        assert [line.split("\t")[0] for line in lines[table]] == [uid_of(n) for n in range(50)]
    orders = [
        dict(zip(COLUMNS["orders"], line.split("\t"), strict=True)) for line in lines["orders"]
    ]
    assert len({order["track_number"] for order in orders}) == 50
    assert sorted(order["date_created"] for order in orders) == [o["date_created"] for o in orders]
    assert {line.split("\t")[0] for line in lines["items"]} == {uid_of(n) for n in range(50)}


def test_what_is_made_is_valid() -> None:
    made = make(0, 20)
    [array] = made.arrays
    found = read(array)
    assert not found.refused
    assert [each.order.order_uid for each in found.accepted] == made.uids
