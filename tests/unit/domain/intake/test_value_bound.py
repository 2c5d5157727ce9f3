"""Messages with very many values are refused before they are decoded."""

import json

import pytest

from orders.domain.intake import reading
from orders.domain.intake.json_scan import has_more_values
from orders.domain.intake.reading import MAX_VALUES, read
from tests.unit.domain.order.reference import REFERENCE


@pytest.mark.parametrize("items", ["{}", "[]", "1", '{"a":1}'])
def test_very_many_values_are_one_fault(items: str) -> None:
    text = '{"order_uid": "x", "items": [' + ",".join([items] * (MAX_VALUES + 1)) + "]}"
    [refused] = read(text.encode()).refused
    assert refused.code == "excessive"
    assert [str(fault) for fault in refused.faults] == [
        "$: must not have more than 1,000,000 values"
    ]


def test_commas_and_brackets_in_texts_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_VALUES", 100)
    document = REFERENCE | {"entry": r",{[\"" * 1_000}
    del document["locale"]  # an optional text, so that the typed decoder refuses it
    [accepted] = read(json.dumps(document).encode()).accepted
    assert accepted.order.entry == document["entry"]


def test_valid_orders_are_not_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_VALUES", 3)
    assert read(json.dumps(REFERENCE).encode()).accepted


@pytest.mark.parametrize(("text", "values"), [(b'["a,b",{"c":[1]}]', 4), (b'"\\",["', 0), (b"", 0)])
def test_values_are_counted_by_commas_and_brackets(text: bytes, values: int) -> None:
    assert has_more_values(text, values - 1)
    assert not has_more_values(text, values)
