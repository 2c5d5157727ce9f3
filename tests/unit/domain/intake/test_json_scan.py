"""The scanner of JSON's grammar, held against the parser of the standard library."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orders.domain.intake.json_scan import MalformedError, Scan, depth, scan

DEEP = 50_000

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r ")])


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """JSON in any spacing and escaping, lone surrogates too."""
    text = json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans()), separators=draw(_SEPARATORS))
    around = draw(st.sampled_from(["", " ", "\n\t\r "]))
    return (around + text + around).encode(errors="surrogatepass")


_SCRAPS = [
    *(b"[", b"]", b"{", b"}", b",", b":", b'"', b'""', b'"a":', b'"a":1', b" ", b"\n"),
    *(b"1", b"0", b"-", b"01", b".5", b"1.", b"1.5", b"1e5", b"e", b"E+", b"-0"),
    *(b"true", b"false", b"null", b"tru", b"NaN", b"Infinity", b"-Infinity"),
    *(b"\\", b'"\\u00"', b'"\\ud800"', b'"\\n"', b'"\\x"', b'"\x01"', b'"\\\\"', b'"\\""'),
    *(b"\x0b", b"\xc2\xa0", "ё".encode(), b"'a'", b"//", b"#"),
]
PATCHWORK = st.lists(st.sampled_from(_SCRAPS), max_size=12).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """JSON in which a few bytes were cut out, put in or replaced."""
    data = bytearray(draw(documents()))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 3)))
        data[start:end] = draw(st.sampled_from([b"", *_SCRAPS]))
    return bytes(data)


def is_json(data: bytes) -> bool:
    """What the standard library says, but for the constants that it adds to JSON."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(data.decode(), parse_constant=refuse)
    except ValueError:
        return False
    return True


def is_scanned(data: bytes) -> bool:
    try:
        scan(data)
    except MalformedError:
        return False
    return True


@given(documents() | damaged() | PATCHWORK)
@example(b"")
@example(b"[1,2")
@example(b"{}{}")
@example(b'{"a":1,"b"}')
@example(b'{"a":1,"b":}')
@example(b'{"a":1,"b":2,}')
@example(b'{"a":[1,{"b":[]}],"c":{}}')
def test_it_takes_what_the_standard_library_takes(data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError:
        return
    assert is_scanned(data) == is_json(data)


@given(st.lists(VALUES, max_size=6), _SEPARATORS, st.sampled_from(["", " ", "\n\t"]))
def test_spans_cut_out_exactly_the_elements(
    values: list[Any], separators: tuple[str, str], blank: str
) -> None:
    parts = [json.dumps(value, separators=separators).encode() for value in values]
    glue = (blank + "," + blank).encode()
    data = b"%b[%b%b%b]%b" % (*[blank.encode()] * 2, glue.join(parts), *[blank.encode()] * 2)
    found = scan(data)
    assert found.kind == b"["
    assert [data[start:end] for start, end in found.spans] == parts


@given(VALUES.filter(lambda value: not isinstance(value, list)), st.sampled_from(["", " \n"]))
def test_of_anything_else_the_one_span_is_the_value(value: object, blank: str) -> None:
    text = json.dumps(value)
    data = (blank + text + blank).encode()
    assert scan(data) == Scan(text[0].encode(), [(len(blank), len(blank) + len(text))])


@pytest.mark.parametrize("deep", [b"[%b]", b'{"a":%b}', b'[{"b":1,"a":%b}]'])
def test_depth_is_no_matter(deep: bytes) -> None:
    before, after = deep.split(b"%b")
    data = before * DEEP + b"1" + after * DEEP
    assert scan(data).kind == deep[:1]
    with pytest.raises(MalformedError):
        scan(data[:-1])


@pytest.mark.parametrize(
    "data", [b'"' + b"\\u0041" * 100_000, b"[" * DEEP, b"1" * DEEP + b"x", b'{"a":' * DEEP]
)
def test_what_never_ends_is_refused_in_time(data: bytes) -> None:
    with pytest.raises(MalformedError):
        scan(data)


@pytest.mark.parametrize(
    ("data", "position"),
    [
        (b"", 0),
        (b" ", 1),
        (b"x", 0),
        (b"[1 2]", 3),
        (b"[1,]", 3),
        (b'{"a" 1}', 1),
        (b'{"a":1 "b":2}', 7),
        (b'{"a":1,"b":x}', 11),
        (b'{"a":1,2}', 7),
        (b"[1}", 2),
        (b"[] []", 3),
    ],
)
def test_the_fault_is_where_the_grammar_was_left(data: bytes, position: int) -> None:
    with pytest.raises(MalformedError) as caught:
        scan(data)
    assert caught.value.position == position


@given(documents())
def test_depth_is_that_of_the_values(data: bytes) -> None:
    def levels(value: Any) -> int:
        inner = list(value.values()) if isinstance(value, dict) else value
        return 1 + max(map(levels, inner), default=0) if isinstance(inner, list) else 0

    assert depth(data) == levels(json.loads(data.decode(errors="surrogatepass")))


@pytest.mark.parametrize("value", [b"[]", b'{"a":"["}', b'"]"', b"1"])
def test_to_find_the_depth_takes_no_memory(value: bytes) -> None:
    data = b"[" + b",".join([value] * 100_000) + b"]"
    tracemalloc.start()
    try:
        assert depth(data) == (2 if value[:1] in (b"[", b"{") else 1)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
