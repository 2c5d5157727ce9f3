"""What is shown of a document, and that nothing personal is."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.domain.dead_letters.masking import MAX_DEPTH, MAX_VALUES, SHOWN, masked, masked_header
from orders.domain.errors import Invalid
from orders.domain.order.document import encode
from orders.domain.order.model import Delivery, Item, Order, Payment
from tests.strategies import orders
from tests.unit.domain.order.reference import REFERENCE

DELIVERY = set(REFERENCE["delivery"])


def shown(document: Any) -> Any:
    return masked(json.dumps(document).encode())


def with_field(**changes: Any) -> dict[str, Any]:
    return REFERENCE | changes


def test_the_reference_without_its_delivery() -> None:
    seen = shown(REFERENCE)
    assert seen.pop("delivery") == {
        name: f"<str {len(value)}>" for name, value in REFERENCE["delivery"].items()
    }
    assert seen == {name: value for name, value in REFERENCE.items() if name != "delivery"}


def test_of_every_field_it_was_decided_whether_it_is_shown() -> None:
    def names(struct: type[msgspec.Struct]) -> set[str]:
        return {field.encode_name for field in msgspec.structs.fields(struct)}

    assert set(SHOWN) == names(Order) | {"status"}
    assert set(SHOWN["payment"]) == names(Payment)
    assert set(SHOWN["items"][0]) == names(Item)
    assert set(SHOWN["delivery"].values()) == {"personal"}
    assert set(SHOWN["delivery"]) == names(Delivery) == DELIVERY


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"sm_id": "Test Testov"}, "<str 11>"),
        ({"sm_id": 79991234567.5}, "<float 13>"),
        ({"sm_id": 10**30}, "<int 31>"),
        ({"sm_id": True}, "<bool>"),
        ({"sm_id": None}, None),
        ({"customer_id": 79991234567}, "<int 11>"),
        ({"customer_id": ["Test", 1]}, ["<str 4>", "<int 1>"]),
        ({"customer_id": {"name": "Test", "order_uid": "x"}},
         {"name": "<str 4>", "order_uid": "<str 1>"}),
        ({"customer_id": "x" * 501}, "<str 501>"),
        ({"date_created": "Test Testov"}, "<str 11>"),
        ({"date_created": "+9720000000"}, "<str 11>"),
        ({"date_created": "2021-11-26T06:22:19"}, "2021-11-26T06:22:19"),
        ({"date_created": "2021-13-45 06:22:19.5+03:00"}, "2021-13-45 06:22:19.5+03:00"),
        ({"delivery": "Test Testov"}, "<str 11>"),
        ({"delivery": [{"name": "x"}]}, [{"name": "<str 1>"}]),
        ({"delivery": {"entry": "x", "sm_id": 5}}, {"entry": "<str 1>", "sm_id": "<int 1>"}),
        ({"payment": {"name": "Test", "bank": "alpha"}}, {"name": "<str 4>", "bank": "alpha"}),
        ({"items": ["Test", {"name": "Mascaras", "phone": "1"}]},
         ["<str 4>", {"name": "Mascaras", "phone": "<str 1>"}]),
        ({"items": {"name": "Test"}}, {"name": "<str 4>"}),
        ({"phone": "+9720000000"}, "<str 11>"),
        ({"customer_id": [{"bank": "1"}, None, False]}, [{"bank": "<str 1>"}, None, "<bool>"]),
    ],
)  # fmt: skip
def test_what_stands_in_the_wrong_place_is_masked(changes: dict[str, Any], seen: Any) -> None:
    [name] = changes
    assert shown(with_field(**changes))[name] == seen
    assert shown([with_field(**changes)])[0][name] == seen


@pytest.mark.parametrize("key", ["Test Testov", "test@gmail.com", "+9720000000", "a9720000000", "",
                                 "Ivan", "ivan_petrov", "ivanPetrov", "x" * 41, "\x1b[2J",
                                 "ключ"])  # fmt: skip
def test_keys_that_are_no_plain_names_are_masked(key: str) -> None:
    assert shown({key: 1}) == {f"<key {len(key)}>": "<int 1>"}


def test_masked_keys_do_not_hide_each_other() -> None:
    assert shown({"A": 1, "B": 2, "C": 3, "order_uid": 4, "zip": 5}) == {
        "<key 1>": "<int 1>", "<key 1, 2>": "<int 1>", "<key 1, 3>": "<int 1>",
        "order_uid": "<int 1>", "zip": "<int 1>",
    }  # fmt: skip


def test_a_hundred_thousand_keys_of_one_length_are_masked() -> None:
    """By comparing each with those before, it would take half an hour."""
    keys = [f"{number:06}" for number in range(100_000)]
    masks = list(shown(dict.fromkeys(keys, 1)))
    assert (masks[0], masks[-1], len(masks)) == ("<key 6>", "<key 6, 100000>", 100_000)


@pytest.mark.parametrize("name", ["X-Request-ID", "x-request-id", "correlation-id", "traceparent",
                                  "content-type", "ce_id", "orders-replay-of"])  # fmt: skip
def test_headers_of_techniques_are_named(name: str) -> None:
    assert masked_header(name) == name


@pytest.mark.parametrize("name", ["ivan", "Ivan-Petrov", "test@gmail.com", "+9720000000",
                                  "x-79991234567", "orders-79991234567", "x-ivan-petrov", "",
                                  "x-request-id\n"])  # fmt: skip
def test_other_headers_are_not(name: str) -> None:
    assert masked_header(name) == f"<name {len(name)}>"


@pytest.mark.parametrize("scalar", ["Test", 5, 1.5, True])
def test_a_scalar_alone_is_masked(scalar: Any) -> None:
    assert shown(scalar) != scalar
    assert shown([scalar]) != [scalar]


def test_a_byte_order_mark_does_not_matter() -> None:
    assert masked(b'\xef\xbb\xbf{"sm_id":1}') == {"sm_id": 1}


def test_what_is_deep_is_cut_and_what_is_too_deep_or_broken_is_refused() -> None:
    deep = shown(json.loads("[" * 200 + '"Test"' + "]" * 200))
    text = json.dumps(deep)
    assert "<array 1>" in text
    assert text.count("[") == MAX_DEPTH
    for hopeless in (b"[" * 90_000 + b"]" * 90_000, b"{", b"", b"\xff", b'{"a":"\xff"}'):
        with pytest.raises(Invalid):
            masked(hopeless)


def test_what_has_too_many_values_is_refused() -> None:
    assert len(masked(b"[" + b"1," * (MAX_VALUES - 2) + b"1]")) == MAX_VALUES - 1
    with pytest.raises(Invalid):
        masked(b"[" + b"1," * MAX_VALUES + b"1]")


@given(orders())
def test_of_a_valid_order_all_but_the_delivery_is_shown(order: Order) -> None:
    document = json.loads(encode(order))
    seen = masked(encode(order))
    for name, value in document.pop("delivery").items():
        assert seen["delivery"][name] == f"<str {len(value)}>"
    del seen["delivery"]
    assert seen == document


SECRET = "Zqxj-7"
"""Stands for whatever is personal; no name of a field holds it."""
NAMES = st.sampled_from([*SHOWN, *DELIVERY, *SHOWN["payment"], *SHOWN["items"][0], "x", SECRET])
ANYTHING = st.recursive(
    st.sampled_from([SECRET, f"a {SECRET} b", 97200000001, 9720000000.5, True, None]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
)
PERSONAL = st.dictionaries(st.sampled_from([*sorted(DELIVERY), "other", SECRET]), ANYTHING)


def leaks(seen: Any) -> bool:
    text = json.dumps(seen)
    return SECRET in text or "972000000" in text


@given(PERSONAL, ANYTHING, ANYTHING)
def test_nothing_personal_gets_through(personal: Any, unknown: Any, other: Any) -> None:
    document = REFERENCE | {
        "delivery": personal,
        "note": unknown,
        SECRET: other,
        "items": [REFERENCE["items"][0] | {"gift_from": unknown}, [other], SECRET],
        "payment": REFERENCE["payment"] | {"card": other, SECRET: unknown, "amount": SECRET},
        "date_created": SECRET,
        "entry": [other, SECRET],
        "sm_id": {"value": unknown},
    }
    for written in (document, [document, 5], {"order": document}, [[document]], [SECRET]):
        assert not leaks(shown(written))


@given(st.binary())
def test_any_bytes_are_masked_or_refused(document: bytes) -> None:
    with suppress(Invalid):
        json.dumps(masked(document))
