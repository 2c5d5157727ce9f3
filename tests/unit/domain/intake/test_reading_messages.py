"""What a message may be: an order, an array of orders, or nothing of the kind."""

import json
from collections.abc import Callable
from functools import partial

import pytest

from orders.domain.intake.diagnosis import MAX_DEPTH
from orders.domain.intake.reading import Reading, elements, read
from tests.unit.domain.order.reference import (
    REFERENCE,
    changed,
    faults,
    read_document,
    the_order,
)

BOM = b"\xef\xbb\xbf"
TEXT = json.dumps(REFERENCE).encode()
ORDER = the_order(read(TEXT))

DEEP = 50_000
"""Levels of nesting that no recursive parser survives."""


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def code(value: bytes | None) -> str:
    """The code of a message that is refused as a whole, its bytes kept."""
    reading = read(value)
    assert reading.accepted == ()
    (refused,) = reading.refused
    assert refused.raw == (value or b"")
    assert refused.index == 0
    return refused.code


class TestOneOrder:
    def test_is_accepted(self) -> None:
        reading = read(TEXT)
        assert not reading.is_array
        assert reading.accepted[0].index == 0

    @pytest.mark.parametrize("before", [b"", b" ", b"\n\t\r ", BOM, BOM + b" "])
    @pytest.mark.parametrize("after", [b"", b" ", b"\n\r\t "])
    def test_blanks_and_a_byte_order_mark_around_it_are_skipped(
        self, before: bytes, after: bytes
    ) -> None:
        assert the_order(read(before + TEXT + after)) == ORDER

    @pytest.mark.parametrize("before", [b"", BOM, b" ", BOM + b"\n"])
    def test_an_invalid_one_keeps_its_original_bytes(self, before: bytes) -> None:
        value = before + json.dumps(changed("sm_id", "x"), indent=1).encode() + b"\n"
        assert code(value) == "invalid"
        assert faults(read(value)) == ["$.sm_id: expected int, got str"]

    def test_in_spacing_and_escapes_of_any_kind_it_is_the_same(self) -> None:
        for options in ({"indent": 3}, {"ensure_ascii": False}, {"separators": (",", ":")}):
            assert the_order(read(json.dumps(REFERENCE, **options).encode())) == ORDER


class TestEmpty:
    @pytest.mark.parametrize(
        "value", [None, b"", b" ", b"\n\t\r ", BOM, BOM + b" ", b"null", b" null\n", BOM + b"null"]
    )
    def test_nothing_is_empty(self, value: bytes | None) -> None:
        assert code(value) == "empty"

    @pytest.mark.parametrize("value", [b"[]", b" [ ] ", BOM + b"[\n]"])
    def test_an_empty_array_is_nothing_to_do(self, value: bytes) -> None:
        reading = read(value)
        assert (reading.accepted, reading.refused, reading.is_array) == ((), (), True)


class TestUndecodable:
    @pytest.mark.parametrize(
        "value",
        [
            b"{",
            b"[",
            b"]",
            b"}",
            b"hello",
            b"nul",
            b"NaN",
            b"Infinity",
            b"-Infinity",
            b"'x'",
            b'"x',
            b"01",
            b"1.",
            b"+1",
            b"1 2",
            b"[1,]",
            b"[,1]",
            b"[1 2]",
            b"{,}",
            b'{"a":1,}',
            b'{"a"}',
            b"{1:1}",
            b"[}",
            b'"\x01"',
            b'"\\x41"',
            b'"\\u12"',
            b"\x00",
            b"\x00\x00\x00\x00\x00\x00",
            b"// comment\n1",
            b"\xfe\xff\x00{",
            b"\x1f\x8b\x08",
            BOM + BOM + b"[]",
            b" " + BOM + b"[]",
            b"\xc2\xa0[]",
            TEXT[:-1],
            TEXT + b",",
            TEXT + TEXT,
            b"[" + TEXT + b"," + TEXT[:-1] + b"]",
            b"[NaN," + TEXT + b"]",
        ],
    )
    def test_what_is_not_json(self, value: bytes) -> None:
        assert code(value) == "undecodable"

    @pytest.mark.parametrize("broken", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80"])
    def test_what_is_not_utf8_anywhere_in_it(self, broken: bytes) -> None:
        for place in (b'{"unknown": "%s"}', b'[{"a": 1}, "%s"]', b'{"%s": 1}', b"%s"):
            assert code(place.replace(b"%s", broken)) == "undecodable"

    def test_in_an_unknown_field_of_a_good_order_as_well(self) -> None:
        assert code(TEXT[:-1] + b', "unknown": "\xff"}') == "undecodable"
        assert code(TEXT[:-1] + b', "unknown": 01}') == "undecodable"
        assert code(TEXT[:-1] + b', "unknown": "\x01"}') == "undecodable"

    def test_it_is_said_where(self) -> None:
        assert faults(read(b'{"a": x}')) == ["$: must be JSON (byte 6)"]
        assert faults(read(BOM + b'{"a": x}')) == ["$: must be JSON (byte 9)"]
        assert faults(read(b'["\xff"]')) == ["$: must be UTF-8 (byte 2)"]
        assert faults(read(BOM + b'["\xff"]')) == ["$: must be UTF-8 (byte 5)"]


class TestScalars:
    @pytest.mark.parametrize(
        ("value", "name"),
        [
            (b'"x"', "str"),
            (b"true", "bool"),
            (b"false", "bool"),
            (b"1", "number"),
            (b"-1.5e3", "number"),
            (b"1e999", "number"),
            (b' "\\ud800" ', "str"),
        ],
    )
    def test_are_invalid(self, value: bytes, name: str) -> None:
        assert code(value) == "invalid"
        assert faults(read(value)) == [f"$: expected object or array, got {name}"]


class TestArrays:
    def test_all_good_ones_are_accepted_in_their_order(self) -> None:
        reading = read_document([REFERENCE, changed("sm_id", 1), REFERENCE])
        assert reading.is_array
        assert [(a.index, a.order.sm_id) for a in reading.accepted] == [(0, 99), (1, 1), (2, 99)]

    BROKEN: tuple[tuple[bytes, str], ...] = (
        (b"null", "$[1]: expected object, got null"),
        (b"1", "$[1]: expected object, got int"),
        (b"1.5", "$[1]: expected object, got float"),
        (b"1e999", "$[1]: expected object, got float"),
        (b'"x"', "$[1]: expected object, got str"),
        (b'"\\ud800"', "$[1]: expected object, got str"),
        (b"[]", "$[1]: expected object, got array"),
        (b"[" + TEXT + b"]", "$[1]: expected object, got array"),
        (nested(DEEP), "$[1]: must not be nested so deep"),
        (json.dumps(changed("sm_id", "x")).encode(), "$[1].sm_id: expected int, got str"),
        (
            json.dumps(changed("items.0.name", "\ud800")).encode(),
            "$[1].items[0].name: must not hold a lone surrogate",
        ),
        (json.dumps(changed("entry", "\0")).encode(), "$[1].entry: must not hold U+0000"),
        (TEXT[:-1] + b',"unknown":' + nested(DEEP) + b"}", "$[1]: must not be nested so deep"),
    )

    @pytest.mark.parametrize(("broken", "fault"), BROKEN, ids=range(len(BROKEN)))
    def test_a_broken_element_is_alone_in_being_refused(self, broken: bytes, fault: str) -> None:
        for glue in (b",", b" ,\n"):
            value = b"[" + glue.join([TEXT, broken, TEXT]) + b"]"
            reading = read(value)
            assert [(a.index, a.order) for a in reading.accepted] == [(0, ORDER), (2, ORDER)]
            (refused,) = reading.refused
            assert (refused.index, refused.raw, refused.code) == (1, broken, "invalid")
            assert [str(f) for f in refused.faults] == [fault]

    def test_a_neighbour_nested_too_deep_is_alone_in_being_refused(self) -> None:
        for levels in (MAX_DEPTH, 990, 1000, 5000, DEEP):
            broken = TEXT[:-1] + b',"unknown":' + nested(levels) + b"}"
            reading = read(b"[" + broken + b"," + TEXT + b"]")
            assert [(a.index, a.order) for a in reading.accepted] == [(1, ORDER)]
            assert [r.raw for r in reading.refused] == [broken]

    def test_only_broken_ones(self) -> None:
        reading = read(b'[1, {"a": 2}, null]')
        assert reading.accepted == ()
        assert [r.raw for r in reading.refused] == [b"1", b'{"a": 2}', b"null"]
        assert [r.index for r in reading.refused] == [0, 1, 2]

    def test_a_message_nested_too_deep_as_a_whole_is_one_bad_element(self) -> None:
        reading = read(nested(DEEP))
        (refused,) = reading.refused
        assert (refused.index, refused.code, refused.raw) == (0, "invalid", nested(DEEP - 1))


class TestNesting:
    """The verdict depends on the bytes alone: what comes again has to fare as it did before."""

    @staticmethod
    def documents(levels: int) -> list[bytes]:
        """The reference order with so many levels in all, known fields and repeated ones too."""
        return [
            TEXT[:-1] + b',"unknown":' + nested(levels - 1) + b"}",
            TEXT[:-1] + b',"u":' + b'{"[":' * (levels - 1) + b'"]"' + b"}" * (levels - 1) + b"}",
            b'{"items":' + nested(levels - 1) + b"," + TEXT[1:],
            TEXT.replace(b'"entry": "WBIL"', b'"entry": null, "u":' + nested(levels - 1)),
        ]

    @pytest.mark.parametrize("frames", [0, 300])
    def test_up_to_the_bound_it_is_ignored_wherever_it_is_read(self, frames: int) -> None:
        for document in self.documents(MAX_DEPTH):
            for value in (document, b"[" + document + b"," + TEXT + b"]"):
                assert beneath(frames, partial(read, value)).refused == ()

    @pytest.mark.parametrize("frames", [0, 300])
    def test_beyond_it_is_refused_wherever_it_is_read(self, frames: int) -> None:
        for document in self.documents(MAX_DEPTH + 1):
            assert faults(beneath(frames, partial(read, document))) == [
                "$: must not be nested so deep"
            ]
            reading = beneath(frames, partial(read, b"[" + document + b"," + TEXT + b"]"))
            assert faults(reading) == ["$[0]: must not be nested so deep"]
            assert [accepted.index for accepted in reading.accepted] == [1]

    def test_many_brackets_beside_each_other_are_not_deep(self) -> None:
        wide = b'"unknown":[' + b",".join([b'{"[":"{[{["}'] * 2000) + b"]"
        assert the_order(read(TEXT[:-1] + b"," + wide + b"}")) == ORDER
        array = b"[" + b",".join([TEXT[:-1] + b',"unknown":[[],{}]}'] * 500) + b"]"
        assert [accepted.order for accepted in read(array).accepted] == [ORDER] * 500
        texts = changed("entry", "[{" * 1000)
        assert the_order(read_document(texts)).entry == "[{" * 1000


def beneath(frames: int, do: Callable[[], Reading]) -> Reading:
    """What ``do`` gives with so many more callers above it."""
    return beneath(frames - 1, do) if frames else do()


class TestElements:
    def test_of_an_array_are_its_elements_as_they_were_sent(self) -> None:
        parts = [b'{ "a":1 }', b"[ 1 , 2 ]", b'"\\ud800"', b"1.50", b"null"]
        assert elements(b" [ " + b" ,\n ".join(parts) + b" ] ") == parts
        assert elements(b"[" + b",".join(parts[:2]) + b"]") == parts[:2]
        assert elements(BOM + b"[1]") == [b"1"]

    @pytest.mark.parametrize("value", [TEXT, BOM + TEXT, b" " + TEXT + b"\n"])
    def test_of_anything_else_are_the_whole_message(self, value: bytes) -> None:
        assert elements(value) == [value]
