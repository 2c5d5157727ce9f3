"""Messages that are very large, or have very many values, are refused before they are decoded."""

import json
from typing import Any

import pytest

from orders.domain.intake import diagnosis, reading
from orders.domain.intake.diagnosis import MAX_DEPTH
from orders.domain.intake.json_scan import (
    BYTES_OF_VALUE,
    MOST_SCANNED,
    SCANNED_VALUES,
    has_more_values,
)
from orders.domain.intake.messages import MAX_MESSAGE_BYTES
from orders.domain.intake.reading import MAX_DOCUMENT_BYTES, MAX_KEY_BYTES, MAX_VALUES, read
from orders.domain.order.document import encode
from tests.unit.domain.order.reference import REFERENCE

ITEM = REFERENCE["items"][0]


def test_a_large_message_is_read_and_a_larger_one_refused() -> None:
    value = json.dumps(REFERENCE).encode().ljust(MAX_MESSAGE_BYTES)
    assert read(value).accepted
    [refused] = read(value + b" ").refused
    assert (refused.code, refused.raw) == ("excessive", value + b" ")
    assert [str(fault) for fault in refused.faults] == ["$: must not be larger than 16 MiB"]


@pytest.mark.parametrize("is_array", [False, True])
def test_a_large_order_is_read_and_a_larger_one_refused(*, is_array: bool) -> None:
    def message(entry: str) -> bytes:
        document = REFERENCE | {"entry": entry}
        return json.dumps([REFERENCE, document] if is_array else document).encode()

    [*_, one] = read(message("")).accepted
    most = MAX_DOCUMENT_BYTES - len(encode(one.order))
    assert read(message("x" * most)).accepted
    [refused] = read(message("x" * (most + 1))).refused
    assert (refused.code, refused.raw) == ("excessive", message("x" * (most + 1)))
    assert [str(fault) for fault in refused.faults] == [
        "$: must not hold an order of more than 1 MiB"
    ]


def test_texts_that_were_not_sent_count_in_the_size_of_an_order() -> None:
    numbers = {name: n for name, n in ITEM.items() if isinstance(n, int)}
    message = json.dumps(REFERENCE | {"items": [numbers] * 8_000}).encode()
    assert len(message) < MAX_DOCUMENT_BYTES
    [refused] = read(message).refused
    assert refused.code == "excessive"


def with_items(order_uid: str, size: int, amount: int) -> dict[str, Any]:
    """An order with so many items, each of about so many bytes."""
    item = {name: 0 if isinstance(value, int) else "" for name, value in ITEM.items()}
    item["name"] = "x" * (size - len(json.dumps(item)))
    return REFERENCE | {"order_uid": order_uid, "items": [item] * amount}


def in_bytes(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def test_the_order_uid_counts_with_each_item() -> None:
    uids = [f"{number}{'😀' * 254}" for number in range(9)]
    per_order = MAX_KEY_BYTES // 9 // len(uids[0].encode())
    most = in_bytes([with_items(uid, 400, per_order) for uid in uids])
    assert read(most).accepted
    more = in_bytes([with_items(uid, 400, per_order + 1) for uid in uids])
    [refused] = read(more).refused
    assert (refused.code, refused.raw) == ("excessive", more)
    assert [str(fault) for fault in refused.faults] == [
        "$: must not take more than 8,388,608 bytes for the order_uids of its items"
    ]


@pytest.mark.parametrize("amount", [40, 400, 4_000])
def test_order_uids_are_not_much_larger_than_the_items(amount: int) -> None:
    assert read(in_bytes(with_items("😀" * 255, 260, amount))).accepted
    assert read(in_bytes(with_items("x" * 255, 160, amount))).accepted
    value = in_bytes(with_items("😀" * 255, 160, amount))
    [refused] = read(value).refused
    assert refused.code == "excessive"
    assert [str(fault) for fault in refused.faults] == [
        f"$: must not take more than {4 * len(value):,} bytes for the order_uids of its items"
    ]


@pytest.mark.parametrize("items", ["{}", "[]", "1", '{"a":1}'])
def test_very_many_values_are_one_fault(items: str) -> None:
    text = '{"order_uid": "x", "items": [' + ",".join([items] * (MAX_VALUES + 1)) + "]}"
    [refused] = read(text.encode()).refused
    assert refused.code == "excessive"
    assert [str(fault) for fault in refused.faults] == [
        "$: must not have more than 1,000,000 values"
    ]


@pytest.mark.parametrize("junk", [b'"\\ud800"', b"[" * 2_000 + b"]" * 2_000, b"x"])
def test_what_has_to_be_scanned_may_have_fewer(junk: bytes) -> None:
    """Each of its values takes a microsecond."""
    value = b"[" + b",".join([junk, *[b"1"] * 300_000]) + b"]"
    [refused] = read(value).refused
    assert (refused.code, refused.raw) == ("excessive", value)
    most = len(value) // BYTES_OF_VALUE
    assert [str(fault) for fault in refused.faults] == [
        f"$: must not have more than {most:,} values"
    ]


@pytest.mark.parametrize("part", ['{"":1}' + " " * 20, '{"":' * 490 + "1" + "}" * 490])
def test_what_has_to_be_scanned_has_a_quarter_of_a_million(part: str) -> None:
    """Each takes some microseconds of pure Python."""
    parts = ",".join([part] * (MOST_SCANNED // part.count("{")))
    [refused] = read(f'[{{"a":"\\ud800","b":[{parts}]}}]'.encode()).refused
    assert refused.code == "excessive"
    assert [str(fault) for fault in refused.faults] == ["$: must not have more than 250,000 values"]


def test_an_order_that_has_to_be_scanned_has_not_so_many() -> None:
    dense = REFERENCE | {"entry": "\ud800", "unknown": [1] * (SCANNED_VALUES - 200)}
    [refused] = read(json.dumps(dense).encode()).refused
    assert (refused.code, len(refused.faults)) == ("invalid", 1)
    many = [REFERENCE] * 5_000
    found = read(json.dumps([*many, REFERENCE | {"entry": "\ud800"}]).encode())
    assert (len(found.accepted), len(found.refused)) == (5_000, 1)


def test_numbers_with_fraction_or_exponent_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million that are near the bounds of a float would take the decoder 20 s, in one call."""
    monkeypatch.setattr(diagnosis, "_FLOAT", "what stands for it")
    document = json.dumps(REFERENCE | {"locale": 9e307, "entry": None})
    [accepted] = read(document.encode()).accepted
    assert accepted.order.locale == "what stands for it"
    [refused] = read(document.replace('"items"', '"no items"').encode()).refused
    assert [str(fault) for fault in refused.faults] == ["$.items: is required"]


def test_commas_and_brackets_in_texts_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_VALUES", 100)
    document = REFERENCE | {"entry": r",{[\"" * 1_000}
    del document["locale"]  # an optional text, so that the typed decoder refuses it
    [accepted] = read(json.dumps(document).encode()).accepted
    assert accepted.order.entry == document["entry"]


@pytest.mark.parametrize("beginning", [b'"', b"{" + b"[" * (MAX_DEPTH + 1) + b'"'])
def test_a_text_without_its_end_is_refused_in_time(
    monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(reading, "MAX_VALUES", 100_000)
    [refused] = read(beginning + b'\\",' * 1_000_000).refused
    assert refused.code == "undecodable"


def test_valid_orders_are_not_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_VALUES", 3)
    assert read(json.dumps(REFERENCE).encode()).accepted


@pytest.mark.parametrize(("text", "values"), [(b'["a,b",{"c":[1]}]', 4), (b'"\\",["', 0), (b"", 0)])
def test_values_are_counted_by_commas_and_brackets(text: bytes, values: int) -> None:
    assert has_more_values(text, values - 1)
    assert not has_more_values(text, values)
