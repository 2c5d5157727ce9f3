"""A message of junk is one dead letter, and its elements are not read to the end."""

import json
import random
from datetime import UTC, datetime

import pytest

from orders.domain.intake import diagnosis, reading
from orders.domain.intake.messages import DeadLetter, Message, Origin
from orders.domain.intake.reading import (
    MAX_ELEMENTS,
    MAX_REFUSED_SMALL,
    MIN_ORDER_BYTES,
    read,
)
from tests.unit.domain.order.reference import REFERENCE, changed

GOOD = json.dumps(REFERENCE).encode()
SHORTEST = {
    "order_uid": "a",
    "track_number": "a",
    "delivery": {},
    "payment": dict.fromkeys(
        ("amount", "payment_dt", "delivery_cost", "goods_total", "custom_fee"), 0
    ),
    "items": [],
    "customer_id": "a",
    "sm_id": 0,
    "date_created": "2021-11-26T06:22:19Z",
}


def array(*elements: bytes) -> bytes:
    return b"[" + b",".join(elements) + b"]"


def assert_refused_as_one(value: bytes, most: int) -> None:
    found = read(value)
    assert found.accepted == ()
    [refused] = found.refused
    assert (refused.index, refused.code, refused.raw) == (0, "excessive", value)
    assert [str(fault) for fault in refused.faults] == [
        f"$: must not have more than {most:,} invalid elements"
    ]


@pytest.mark.parametrize("element", [b"1", b"{}", b"[]", b"null", b'"\\ud800"'])
def test_a_small_array_may_have_some(element: bytes) -> None:
    value = array(GOOD, *[element] * MAX_REFUSED_SMALL)
    found = read(value)
    assert len(found.accepted) == 1
    assert [refused.index for refused in found.refused] == list(range(1, MAX_REFUSED_SMALL + 1))
    assert {refused.code for refused in found.refused} == {"invalid"}
    assert_refused_as_one(array(*[element] * (MAX_REFUSED_SMALL + 1)), MAX_REFUSED_SMALL)


def test_good_elements_are_not_counted() -> None:
    found = read(array(*[GOOD] * 500, *[b"1"] * MAX_REFUSED_SMALL))
    assert (len(found.accepted), len(found.refused)) == (500, MAX_REFUSED_SMALL)


def test_those_before_it_are_not_accepted_either() -> None:
    value = array(*[b"1"] * 200, GOOD)
    assert_refused_as_one(value, max(MAX_REFUSED_SMALL, len(value) // MIN_ORDER_BYTES))
    value = array(GOOD, *[b"1"] * 200)
    assert_refused_as_one(value, max(MAX_REFUSED_SMALL, len(value) // MIN_ORDER_BYTES))


def test_what_could_be_orders_is_refused_one_by_one() -> None:
    shortest = json.dumps(SHORTEST, separators=(",", ":")).encode()
    assert len(read(shortest).accepted) == 1
    assert len(shortest) > MIN_ORDER_BYTES
    bad = shortest.replace(b'"sm_id":0', b'"sm_id":""')
    found = read(array(*[bad] * MAX_ELEMENTS))
    assert {refused.code for refused in found.refused} == {"invalid"}
    assert len(found.refused) == MAX_ELEMENTS


@pytest.mark.parametrize("last", [SHORTEST, SHORTEST | {"sm_id": ""}], ids=["good", "bad"])
def test_an_array_has_not_more_elements_than_that(last: dict[str, object]) -> None:
    """Each may be stored with other content, and become a dead letter."""
    shortest = json.dumps(SHORTEST).encode()
    most = array(*[shortest] * (MAX_ELEMENTS - 1), json.dumps(last).encode())
    found = read(most)
    assert len(found.accepted) + len(found.refused) == MAX_ELEMENTS
    [refused] = read(most[:-1] + b"," + shortest + b"]").refused
    assert (refused.index, refused.code) == (0, "excessive")
    assert [str(fault) for fault in refused.faults] == [
        "$: must not have more than 10,000 elements"
    ]


def test_a_caller_who_takes_all_or_nothing_may_have_more() -> None:
    shortest = json.dumps(SHORTEST).encode()
    assert len(read(array(*[shortest] * (MAX_ELEMENTS + 1)), enough=1).accepted) > MAX_ELEMENTS


def test_the_rest_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    diagnosed = 0

    def counting(raw: bytes, most: int) -> object:
        nonlocal diagnosed
        diagnosed += 1
        return diagnosis.diagnose(raw, most)

    monkeypatch.setattr(reading, "diagnose", counting)
    value = array(*[b"1"] * 440_000)
    assert_refused_as_one(value, len(value) // MIN_ORDER_BYTES)
    assert diagnosed == len(value) // MIN_ORDER_BYTES + 1


def test_the_faults_of_an_array_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_FAULTS", 10_000)
    many_faults = json.dumps(changed("items", [{}] * 200)).encode()
    found = read(array(*[many_faults] * 1_000))
    assert len(found.refused) == 1_000
    faults = [len(refused.faults) for refused in found.refused]
    assert sum(faults) < 10_000 + len(found.refused)
    assert min(faults) == 1
    found = read(array(many_faults), of_one=7)
    assert [len(refused.faults) for refused in found.refused] == [7]


def test_a_caller_who_takes_all_or_nothing_gets_the_faults_of_each() -> None:
    found = read(array(*[b"1"] * 5_000), enough=1_000)
    assert [refused.index for refused in found.refused] == list(range(1_000))


def test_a_replay_of_it_is_judged_as_it_was() -> None:
    value = array(*[b"1"] * 1_000, GOOD)
    [refused] = read(value).refused
    message = Message(Origin("orders", 0, 1), value)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    dead_letter = DeadLetter(message, refused.index, refused.raw, refused.code, "", moment)
    assert dead_letter.as_message == value


def test_the_verdict_does_not_depend_on_the_order_of_the_elements() -> None:
    parts = [GOOD] * 3 + [b"1"] * 60
    for seed in range(20):
        random.Random(seed).shuffle(parts)
        assert_refused_as_one(array(*parts), max(20, len(array(*parts)) // MIN_ORDER_BYTES))
