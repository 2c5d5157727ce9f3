"""What a field may hold, and what is said where it may not."""

import json
from typing import Any

import pytest

from orders.domain.order.rules import ID_MAX_LENGTH, INT64_MAX, INT64_MIN
from tests.unit.domain.order.reference import (
    ABSENT,
    REFERENCE,
    changed,
    faults,
    field,
    leaves,
    read_document,
    read_raw,
    the_order,
)

IDENTIFIERS = ("order_uid", "track_number", "customer_id")
INTEGERS = tuple(leaves(REFERENCE, int))
MONEY = (
    "payment.amount",
    "payment.delivery_cost",
    "payment.goods_total",
    "payment.custom_fee",
    "items.0.price",
    "items.0.total_price",
)
LOOSE_TEXTS = tuple(p for p in leaves(REFERENCE, str) if p not in {*IDENTIFIERS, "date_created"})


def json_path(path: str) -> str:
    return "$." + path.replace(".0.", "[0].")


def refused(path: str, value: object) -> list[str]:
    """The faults that the reference order has with this value; they must all be at ``path``."""
    document = changed(path, value)
    found = faults(read_document(document))
    assert found, f"{value!r} was accepted"
    assert {fault.partition(": ")[0] for fault in found} == {json_path(path)}
    return [fault.partition(": ")[2] for fault in found]


def accepted(path: str, value: object) -> Any:
    """What the order holds at ``path`` if this is sent."""
    return field(the_order(read_document(changed(path, value))), path)


def test_the_reference_order_is_known_to_the_last_field() -> None:
    order = the_order(read_document(REFERENCE))
    for path in leaves(REFERENCE, (str, int)):
        if path != "date_created":
            assert field(order, path) == field_of_reference(path)


def field_of_reference(path: str) -> Any:
    place: Any = REFERENCE
    for name in path.split("."):
        place = place[int(name)] if isinstance(place, list) else place[name]
    return place


class TestTexts:
    @pytest.mark.parametrize("path", LOOSE_TEXTS)
    @pytest.mark.parametrize("value", [ABSENT, None, ""], ids=["absent", "null", "empty"])
    def test_absent_and_null_read_as_empty(self, path: str, value: object) -> None:
        assert accepted(path, value) == ""

    @pytest.mark.parametrize("path", LOOSE_TEXTS)
    @pytest.mark.parametrize("value", [1, 0, 1.5, True, False, [], {}, ["x"]])
    def test_anything_but_a_text_is_refused(self, path: str, value: object) -> None:
        (fault,) = refused(path, value)
        assert fault.startswith("expected str, got ")

    @pytest.mark.parametrize("path", [*LOOSE_TEXTS, *IDENTIFIERS])
    @pytest.mark.parametrize(
        "value",
        [" x ", "a/b", 'q"q', "a\\b", "\t\n\r", "ёж", "👩‍👩‍👧", "e\u0301", "\u2028", "\x7f"],
    )
    def test_texts_come_back_untouched(self, path: str, value: str) -> None:
        text = value if path not in IDENTIFIERS else value + "x"
        assert accepted(path, text) == text

    @pytest.mark.parametrize("path", [*LOOSE_TEXTS, *IDENTIFIERS])
    def test_u0000_is_refused(self, path: str) -> None:
        assert refused(path, "a\0b") == ["must not hold U+0000"]

    @pytest.mark.parametrize("path", [*LOOSE_TEXTS, *IDENTIFIERS])
    @pytest.mark.parametrize("value", ["\ud800", "x\udfffy", "\udc00\ud800"])
    def test_a_lone_surrogate_is_refused(self, path: str, value: str) -> None:
        assert refused(path, value) == ["must not hold a lone surrogate"]

    def test_a_backslash_before_u0000_is_no_u0000(self) -> None:
        text = "C:\\u0000\\\\u0000"
        assert accepted("entry", text) == text

    def test_two_escapes_of_a_pair_are_one_character(self) -> None:
        raw = json.dumps(changed("entry", "\U0001f600"))
        assert "\\ud83d\\ude00" in raw
        assert accepted("entry", "\U0001f600") == "\U0001f600"

    def test_oof_shard_and_the_status_of_an_item_are_two_fields(self) -> None:
        order = the_order(read_document(changed("oof_shard", "shard")))
        assert order.oof_shard == "shard"
        assert order.items[0].status == REFERENCE["items"][0]["status"]


class TestIdentifiers:
    @pytest.mark.parametrize("path", IDENTIFIERS)
    def test_absent_is_refused(self, path: str) -> None:
        assert refused(path, ABSENT) == ["is required"]

    @pytest.mark.parametrize("path", IDENTIFIERS)
    def test_null_is_refused(self, path: str) -> None:
        assert refused(path, None) == ["expected str, got null"]

    @pytest.mark.parametrize("path", IDENTIFIERS)
    @pytest.mark.parametrize("value", ["", " ", "\t\n", "\u00a0\u2003", "x" * (ID_MAX_LENGTH + 1)])
    def test_empty_blank_and_too_long_are_refused(self, path: str, value: str) -> None:
        assert refused(path, value) == ["must be 1 to 255 characters and not blank"]

    @pytest.mark.parametrize("path", IDENTIFIERS)
    @pytest.mark.parametrize("value", [".", "0", "x" * ID_MAX_LENGTH, "😀" * ID_MAX_LENGTH])
    def test_the_length_is_in_characters(self, path: str, value: str) -> None:
        assert accepted(path, value) == value

    @pytest.mark.parametrize("value", ["", " ", "x" * 1000])
    def test_the_track_number_of_an_item_may_be_anything(self, value: str) -> None:
        assert accepted("items.0.track_number", value) == value


class TestPhone:
    @pytest.mark.parametrize("value", ["0", "09720000000", "0x", "0\n"])
    def test_a_leading_zero_is_refused(self, value: str) -> None:
        assert refused("delivery.phone", value) == ["must not start with 0"]

    @pytest.mark.parametrize("value", ["", " 0", "+0", "anything", "\n0", "\u06601", "\U0001f4de"])
    def test_any_other_text_is_a_phone(self, value: str) -> None:
        assert accepted("delivery.phone", value) == value


class TestIntegers:
    @pytest.mark.parametrize("path", INTEGERS)
    def test_absent_is_refused(self, path: str) -> None:
        assert refused(path, ABSENT) == ["is required"]

    @pytest.mark.parametrize("path", INTEGERS)
    @pytest.mark.parametrize(
        ("value", "name"),
        [
            (None, "null"),
            ("1817", "str"),
            ("", "str"),
            (1817.0, "float"),
            (1.5, "float"),
            (True, "bool"),
            (False, "bool"),
            ([], "array"),
            ({}, "object"),
        ],
    )
    def test_anything_but_an_integer_is_refused(self, path: str, value: object, name: str) -> None:
        assert refused(path, value) == [f"expected int, got {name}"]

    @pytest.mark.parametrize("written", ["1.8e3", "1E0", "0.0", "-0.0", "1e999"])
    def test_an_exponent_or_a_fraction_makes_it_no_integer(self, written: str) -> None:
        raw = json.dumps(REFERENCE).replace('"sm_id": 99', f'"sm_id": {written}')
        assert faults(read_raw(raw)) == ["$.sm_id: expected int, got float"]

    @pytest.mark.parametrize("path", INTEGERS)
    def test_the_largest_is_of_64_bits(self, path: str) -> None:
        assert accepted(path, INT64_MAX) == INT64_MAX

    @pytest.mark.parametrize("path", INTEGERS)
    @pytest.mark.parametrize("value", [INT64_MAX + 1, 2**64, 10**19, 10**40])
    def test_above_64_bits_is_refused(self, path: str, value: int) -> None:
        (fault,) = refused(path, value)
        assert "64 bits" in fault

    @pytest.mark.parametrize("path", [p for p in INTEGERS if p not in MONEY])
    def test_others_than_money_may_be_negative(self, path: str) -> None:
        assert accepted(path, INT64_MIN) == INT64_MIN
        assert refused(path, INT64_MIN - 1) == ["must fit 64 bits, signed"]

    @pytest.mark.parametrize("path", MONEY)
    @pytest.mark.parametrize("value", [-1, INT64_MIN, -(10**30)])
    def test_money_is_not_negative(self, path: str, value: int) -> None:
        assert refused(path, value) == ["must not be negative and must fit 64 bits"]

    @pytest.mark.parametrize("path", INTEGERS)
    def test_zero_is_allowed(self, path: str) -> None:
        assert accepted(path, 0) == 0

    def test_a_number_of_thousands_of_digits_is_told_at_once(self) -> None:
        raw = json.dumps(REFERENCE).replace('"sm_id": 99', '"sm_id": ' + "9" * 100_000)
        assert faults(read_raw(raw)) == ["$.sm_id: must fit 64 bits, signed"]


class TestObjects:
    @pytest.mark.parametrize("path", ["delivery", "payment", "items"])
    def test_absent_is_refused(self, path: str) -> None:
        assert refused(path, ABSENT) == ["is required"]

    @pytest.mark.parametrize("path", ["delivery", "payment", "items.0"])
    @pytest.mark.parametrize(
        ("value", "name"),
        [(None, "null"), ([], "array"), ("x", "str"), (1, "int"), (1.5, "float"), (True, "bool")],
    )
    def test_anything_but_an_object_is_refused(self, path: str, value: object, name: str) -> None:
        found = faults(read_document(changed_place(path, value)))
        place = "$." + path.replace("items.0", "items[0]")
        assert found == [f"{place}: expected object, got {name}"]

    @pytest.mark.parametrize(
        ("value", "name"),
        [(None, "null"), ({}, "object"), ("x", "str"), (1, "int"), (1.5, "float"), (True, "bool")],
    )
    def test_items_are_an_array(self, value: object, name: str) -> None:
        assert refused("items", value) == [f"expected array, got {name}"]

    def test_no_items_are_allowed(self) -> None:
        assert accepted("items", []) == ()

    def test_equal_items_are_allowed_and_keep_their_order(self) -> None:
        item = REFERENCE["items"][0]
        order = the_order(read_document(changed("items", [item, item | {"price": 1}, item])))
        assert [i.price for i in order.items] == [item["price"], 1, item["price"]]

    def test_an_empty_delivery_is_one_of_empty_texts(self) -> None:
        delivery = accepted("delivery", {})
        assert {getattr(delivery, name) for name in REFERENCE["delivery"]} == {""}

    def test_sums_need_not_add_up(self) -> None:
        assert accepted("payment.amount", 1) == 1


def changed_place(path: str, value: object) -> dict[str, Any]:
    if path == "items.0":
        return changed("items", [value])
    return changed(path, value)
