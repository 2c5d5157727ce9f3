"""The load generator reads what servers send, however it is cut up."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.responses import Answer, AnswerReader, BadAnswer


def wire(body: bytes, status: int = 200, length: str = "content-length") -> bytes:
    return b"HTTP/1.1 %d OK\r\nserver: x\r\n%b: %d\r\nx: y\r\n\r\n%b" % (
        status,
        length.encode(),
        len(body),
        body,
    )


def read(*pieces: bytes) -> list[Answer]:
    reader = AnswerReader()
    return [answer for piece in pieces if (answer := reader.feed(piece)) is not None]


@pytest.mark.parametrize("size", [0, 1, 1_200, 1_000_000])
def test_an_answer_that_comes_at_once(size: int) -> None:
    assert read(wire(b"x" * size)) == [Answer(200, b"x" * size)]


def test_several_answers_one_after_another() -> None:
    found = read(wire(b"one"), wire(b"", 404), wire(b"three"))
    assert found == [Answer(200, b"one"), Answer(404, b""), Answer(200, b"three")]


@given(st.binary(max_size=300), st.lists(st.integers(1, 400), max_size=8))
def test_answers_cut_up_anywhere(body: bytes, cuts: list[int]) -> None:
    whole = wire(body)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[a:b] for a, b in pairwise(places)]
    assert read(*pieces, wire(b"next")) == [Answer(200, body), Answer(200, b"next")]


def test_byte_by_byte() -> None:
    assert read(*(bytes([byte]) for byte in wire(b"\r\n\r\n"))) == [Answer(200, b"\r\n\r\n")]


def test_names_of_headers_in_any_case_and_as_the_last_one() -> None:
    assert read(wire(b"body", length="Content-Length")) == [Answer(200, b"body")]
    assert read(b"HTTP/1.1 200 OK\r\nContent-Length:4\r\n\r\nbody") == [Answer(200, b"body")]


def test_a_length_that_is_only_spoken_of() -> None:
    with pytest.raises(BadAnswer, match="without content-length"):
        read(b"HTTP/1.1 200 OK\r\nx: content-length: 4\r\n\r\nbody")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "closed"),
        (b"SSH-2.0-x\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "without content-length"),
        (wire(b"one") + b"more", "more than was asked for"),
    ],
)
def test_what_nobody_asked_for(sent: bytes, reason: str) -> None:
    with pytest.raises(BadAnswer, match=reason):
        read(sent)
