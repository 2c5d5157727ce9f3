"""The order as a document."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given

from orders.domain.intake.reading import read
from orders.domain.order.document import (
    DIGEST_SIZE,
    StoredOrder,
    belongs_to,
    digest,
    encode,
    in_utc,
)
from orders.domain.order.model import Order
from orders.domain.order.rules import NOT_BLANK
from tests import strategies
from tests.unit.domain.order.reference import REFERENCE, read_document, the_order

ORDER = the_order(read_document(REFERENCE))


def test_the_reference_order_is_written_as_it_is() -> None:
    compact = json.dumps(REFERENCE, ensure_ascii=False, separators=(",", ":"))
    assert encode(ORDER) == compact.encode()


def test_texts_are_written_as_utf8_not_as_escapes() -> None:
    order = the_order(read_document(REFERENCE | {"entry": "Ёж 😀"}))
    assert '"entry":"Ёж 😀"'.encode() in encode(order)


@given(strategies.orders(), strategies.orders())
def test_orders_are_equal_exactly_when_their_bytes_are(one: Order, other: Order) -> None:
    assert (one == other) == (encode(one) == encode(other))
    assert encode(one) == encode(read(encode(one)).accepted[0].order)


@given(strategies.orders())
def test_a_stored_order_tells_what_it_is(order: Order) -> None:
    stored = StoredOrder.of(order)
    assert stored == (order.order_uid, order.date_created, encode(order))
    assert belongs_to(stored.document, order.order_uid)


@pytest.mark.parametrize("uid", ["a", 'q"', "back\\", "ё", "😀", "\na", "a,b", '","x":"'])
def test_a_document_belongs_to_its_own_uid_alone(uid: str) -> None:
    document = encode(the_order(read_document(REFERENCE | {"order_uid": uid})))
    assert belongs_to(document, uid)
    for other in ("", uid + uid, uid[:-1], uid + '"', "b", uid + " "):
        assert not belongs_to(document, other)


@pytest.mark.parametrize("document", [b"", b"{}", b'{"order_uid":"a"}', b"\xff", encode(ORDER)[1:]])
def test_what_is_no_document_belongs_to_nobody(document: bytes) -> None:
    assert not belongs_to(document, "a")
    assert not belongs_to(document, ORDER.order_uid)


def test_a_digest_stands_for_exactly_these_bytes() -> None:
    document = encode(ORDER)
    assert len(digest(document)) == DIGEST_SIZE
    assert digest(document) == digest(bytes(document))
    for other in (b"", document[:-1], document + b" ", document.swapcase()):
        assert digest(other) != digest(document)


def test_in_utc_keeps_the_instant() -> None:
    there = datetime(2021, 11, 26, 9, 22, 19, 5, tzinfo=timezone(timedelta(hours=3)))
    here = in_utc(there)
    assert here == there
    assert here.tzinfo is UTC
    assert in_utc(here) is here


def test_in_utc_refuses_what_lies_outside_its_years() -> None:
    with pytest.raises(OverflowError):
        in_utc(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    with pytest.raises(OverflowError):
        in_utc(datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-1))))


def test_blank_is_what_python_takes_for_white_space() -> None:
    for number in range(0x110000):
        character = chr(number)
        assert bool(re.search(NOT_BLANK, character)) != character.isspace(), hex(number)
