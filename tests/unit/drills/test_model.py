"""The drills' own rules of the document: against the standard library, and against the product.

Two that were written apart and agree on thousands of odd messages are hardly wrong in the same way.
"""

import json
from datetime import datetime
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.expectations import Bad, Expected, Good
from drills.json_parts import NotJSON, parse
from drills.model import DEEPEST, expectations
from drills.mutations import messages
from drills.stored import as_stored
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.adapters.random_orders.order_generator import RandomOrderGenerator
from orders.adapters.read_path.no_cache import NoCache
from orders.domain.intake.messages import Message, Origin
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.use_cases.ingest_batch import IngestBatch, ParsedBatch

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SCRAPS = [
    "",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    '"',
    "\\",
    "0",
    "-",
    ".",
    "e",
    " ",
    "nul",
    "\x01",
    '"a":',
]


def prepared(value: bytes) -> ParsedBatch:
    repository = MemoryOrderRepository()
    erasure = MemoryErasure(repository)
    ingest = IngestBatch(repository, MemoryDeadLetters(), NoCache(), 1, erasure=erasure)
    return ingest.prepare([Message(Origin("orders", 0, 0), value)])


def documents(number: int) -> list[dict[str, Any]]:
    made = RandomOrderGenerator(Random(number)).generate(20)
    return [json.loads(encode(order)) for order in made]


class TestParts:
    @given(VALUES, st.booleans(), st.sampled_from([(",", ":"), (" ,\n", "\t:\r ")]))
    def test_json_is_what_the_standard_library_says(
        self, value: Any, ascii_only: bool, separators: tuple[str, str]
    ) -> None:
        text = json.dumps(value, ensure_ascii=ascii_only, separators=separators)
        whole, elements = parse(f" {text}\n") if text.isprintable() else parse(text)
        assert (whole.value, whole.raw) == (value, text.encode(errors="surrogatepass"))
        assert [part.value for part in elements] == (value if isinstance(value, list) else [])

    @given(VALUES.map(json.dumps), st.integers(0, 200), st.sampled_from(SCRAPS), st.integers(0, 2))
    def test_so_is_what_is_none(self, text: str, at: int, scrap: str, length: int) -> None:
        text = text[:at] + scrap + text[at + length :]
        try:
            expected = json.loads(text)
        except ValueError:
            with pytest.raises(NotJSON):
                parse(text)
        else:
            if "." not in text and "e" not in text:  # it does not tell what a float is
                assert parse(text)[0].value == expected

    @pytest.mark.parametrize("text", ["NaN", "[Infinity]", "-Infinity", "\ufeff[]", "", " "])
    def test_what_the_standard_library_adds_is_none(self, text: str) -> None:
        with pytest.raises(NotJSON):
            parse(text)

    def test_no_depth_and_no_number_is_too_much(self) -> None:
        whole, [element] = parse("[" * 200_000 + "]" * 200_000)
        assert (whole.depth, element.depth) == (200_000, 199_999)
        assert parse("9" * 100_000)[0].value > 2**64


class TestAgainstTheProduct:
    @pytest.mark.parametrize("number", range(3))
    def test_they_agree(self, number: int) -> None:
        for value in messages(documents(number), 150, number):
            expected = expectations(value)
            found = prepared(value)
            orders = {candidate.index: candidate.order for candidate in found.candidates}
            dead_letters = {dead_letter.index: dead_letter for dead_letter in found.dead_letters}
            assert orders.keys() | dead_letters.keys() == set(range(len(expected)))
            assert not orders.keys() & dead_letters.keys()
            for index, wanted in enumerate(expected):
                if isinstance(wanted, Good):
                    assert rows(orders[index]) == as_stored(wanted.document)
                else:
                    dead_letter = dead_letters[index]
                    assert wanted.is_true(dead_letter.code, dead_letter.detail), (
                        wanted,
                        dead_letter.detail,
                    )
                    assert dead_letter.value == wanted.raw

    @pytest.mark.parametrize("size", [1, 200])
    def test_they_agree_on_how_many_bad_elements_are_too_many(self, size: int) -> None:
        good, junk = json.dumps(documents(0)[0]).encode(), b'"' + b"x" * size + b'"'
        for amount in (19, 20, 21, 40, 2_000, 10_001):
            value = b"[" + b",".join([good, *[junk] * amount]) + b"]"
            expected, found = expectations(value), prepared(value)
            assert len(expected) == len(found.candidates) + len(found.dead_letters)
            for wanted, dead_letter in zip(
                [one for one in expected if isinstance(one, Bad)], found.dead_letters, strict=True
            ):
                assert wanted.is_true(dead_letter.code, dead_letter.detail)
                assert dead_letter.value == wanted.raw

    def test_the_same_number_makes_the_same_messages(self) -> None:
        made = documents(1)  # with dates of now
        assert messages(made, 30, 5) == messages(made, 30, 5)
        assert messages(made, 30, 5) != messages(made, 30, 6)


class TestRules:
    """A few verdicts by hand, so that model and product are not merely wrong alike."""

    ORDER = json.dumps(documents(0)[0])

    def verdict(self, old: str, new: str) -> Expected:
        assert old in self.ORDER
        [expected] = expectations(self.ORDER.replace(old, new, 1).encode())
        return expected

    def test_a_valid_order_is_good(self) -> None:
        assert isinstance(self.verdict("{", " {"), Good)

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ('"order_uid"', '"Order_uid"', r"$.order_uid: is required"),
            ('"amount": ', '"amount": 1.0, "x": ', r"$.payment.amount: expected int, got float"),
            ('"amount": ', '"amount": -1, "x": ', r"$.payment.amount: must not be negative and x"),
            ('"phone": "', '"phone": "0', r"$.delivery.phone: must not start with 0"),
            ('"price": ', '"price": true, "x": ', r"$.items[0].price: expected int, got bool"),
            ('"sm_id": ', '"sm_id": null, "x": ', r"$.sm_id: expected int, got null"),
        ],
    )
    def test_a_wrong_one_is_bad_for_its_reason_only(self, old: str, new: str, told: str) -> None:
        expected = self.verdict(old, new)
        assert isinstance(expected, Bad)
        assert expected.is_true("invalid", told)
        assert not expected.is_true("conflict", told)
        assert not expected.is_true("invalid", told.replace("$.", "$.x."))
        assert not expected.is_true("invalid", f"{told}; $.entry: is required")

    def test_every_field_has_a_rule(self) -> None:
        order = json.loads(self.ORDER)
        for part in (order, order["delivery"], order["payment"], order["items"][0]):
            for name, value in list(part.items()):
                part[name] = True
                [expected] = expectations(json.dumps(order).encode())
                assert isinstance(expected, Bad), name
                part[name] = value

    def test_nesting_is_bounded(self) -> None:
        for levels, kind in ((DEEPEST - 1, Good), (DEEPEST, Bad)):
            nested = "[" * levels + "]" * levels
            assert isinstance(self.verdict("{", f'{{"x": {nested}, '), kind)


def rows(order: Order) -> dict[str, Any]:
    """An order as the drills read it from the tables."""
    made: dict[str, Any] = msgspec.to_builtins(order, builtin_types=(datetime,))
    return made | {"items": list(made["items"])}
