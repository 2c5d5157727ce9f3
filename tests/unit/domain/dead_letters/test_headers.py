"""What is written on a dead letter, and what can be read from it again."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orders.adapters.kafka.wire.record_batches import MAX_HEADERS
from orders.domain.dead_letters.headers import (
    ATTEMPT,
    MOST_ORIGINAL,
    OMITTED,
    OWN,
    REPLAY_OF,
    dead_letter_in,
    failures_before,
    headers_of,
    replayed_identity,
    without_content,
)
from orders.domain.intake.messages import DeadLetter, ErrorCode, Headers, Identity, Message, Origin

PLACE = Origin("orders.dlq", 0, 0)
CODES: list[ErrorCode] = ["undecodable", "invalid", "conflict", "rejected", "empty"]
TOPICS = st.from_regex(r"\A[A-Za-z0-9._-]{1,20}\Z")
NUMBERS = st.integers(0, 2**63 - 1)
HEADERS = st.lists(
    st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.binary()), max_size=4
).map(tuple)


@st.composite
def dead_letters(draw: st.DrawFn) -> DeadLetter:
    origin = Origin(draw(TOPICS), draw(NUMBERS), draw(NUMBERS))
    others = tuple(header for header in draw(HEADERS) if header[0] not in OWN)
    zone = timezone(timedelta(hours=draw(st.integers(-12, 12))))
    return DeadLetter(
        Message(origin, None, draw(st.none() | st.binary()), draw(NUMBERS), others),
        draw(NUMBERS),
        draw(st.none() | st.binary()),
        draw(st.sampled_from(CODES)),
        draw(st.text(st.characters(exclude_categories=["Cs"]))),
        draw(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1))).replace(tzinfo=zone),  # noqa: DTZ001
        draw(st.integers(1, 999)),
        draw(st.integers(0, 1_000_000)),
    )


def as_written(dead_letter: DeadLetter) -> Message:
    message = dead_letter.message
    return Message(
        PLACE, dead_letter.value, message.key, message.timestamp, headers_of(dead_letter)
    )


DEAD_LETTER = DeadLetter(
    Message(Origin("orders", 0, 7), None),
    0,
    b"{]",
    "undecodable",
    "$: must be JSON",
    datetime.now(UTC),
)


@given(dead_letters())
def test_a_dead_letter_is_read_as_it_was_written(dead_letter: DeadLetter) -> None:
    assert dead_letter_in(as_written(dead_letter)) == dead_letter


@pytest.mark.parametrize(("original", "kept"), [(MOST_ORIGINAL, MOST_ORIGINAL), (MAX_HEADERS, 1)])
def test_a_dead_letter_has_fewer_headers_than_are_read(original: int, kept: int) -> None:
    headers = (*((("x", b""),) * (original - 1)), (REPLAY_OF, b"orders/0:1:0"))
    one = replace(DEAD_LETTER, message=replace(DEAD_LETTER.message, headers=headers))
    written = as_written(one)
    assert len(written.headers) <= MAX_HEADERS
    found = dead_letter_in(written)
    assert found is not None
    assert found.message.headers == headers[-kept:]


@given(dead_letters(), st.sampled_from(sorted({*OWN, OMITTED})), st.binary())
def test_a_message_cannot_pass_for_another_dead_letter(
    dead_letter: DeadLetter, name: str, content: bytes
) -> None:
    message = dead_letter.message
    forged = Message(
        message.origin, None, message.key, message.timestamp, ((name, content), *message.headers)
    )
    forged_dead_letter = DeadLetter(
        forged,
        dead_letter.index,
        dead_letter.value,
        dead_letter.code,
        dead_letter.detail,
        dead_letter.failed_at,
        dead_letter.attempt,
        dead_letter.omitted,
    )
    assert dead_letter_in(as_written(forged_dead_letter)) == dead_letter


@given(dead_letters())
def test_without_content_it_still_says_why_and_whence(dead_letter: DeadLetter) -> None:
    written = as_written(without_content(dead_letter))
    assert (written.key, written.value) == (None, None)
    assert {name for name, _ in written.headers} == OWN | {OMITTED}
    found = dead_letter_in(written)
    assert found
    assert (found.identity, found.code) == (dead_letter.identity, dead_letter.code)
    assert (found.detail, found.omitted) == (dead_letter.detail, 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("orders-error-code", b"unheard-of"),
        ("orders-error-code", b"\xff"),
        ("orders-source-topic", b""),
        ("orders-source-topic", b"a/b"),
        ("orders-source-partition", b"-1"),
        ("orders-source-partition", "\uff11".encode()),
        ("orders-source-offset", b"1.0"),
        ("orders-source-offset", b"9" * 30),
        ("orders-source-index", b""),
        ("orders-failed-at", b"yesterday"),
        ("orders-failed-at", b"2024-01-01T00:00:00"),
        ("orders-failed-at", b"9999-12-31T23:59:59-23:59"),
        ("orders-failed-at", b"\xff"),
    ],
)
def test_what_is_no_dead_letter_of_ours_is_none(name: str, content: bytes) -> None:
    good = as_written(DEAD_LETTER)
    assert dead_letter_in(good) == DEAD_LETTER
    changed: Headers = tuple((n, content if n == name else v) for n, v in good.headers)
    missing: Headers = tuple((n, v) for n, v in good.headers if n != name)
    for headers in (changed, missing):
        assert dead_letter_in(Message(PLACE, good.value, None, good.timestamp, headers)) is None
    assert dead_letter_in(Message(PLACE, b"{}")) is None


@pytest.mark.parametrize("content", [b"0", b"-1", b"x", b"", b"9" * 99, b"\xff"])
def test_a_dead_letter_without_a_true_attempt_is_the_first(content: bytes) -> None:
    headers = tuple((n, content if n == ATTEMPT else v) for n, v in headers_of(DEAD_LETTER))
    assert dead_letter_in(Message(PLACE, b"{]", None, 0, headers)) == DEAD_LETTER


@pytest.mark.parametrize(
    ("headers", "failures"),
    [
        ((), 0),
        (((ATTEMPT, b"1"),), 1),
        (((ATTEMPT, b"998"),), 998),
        (((ATTEMPT, b"999"),), 998),
        (((ATTEMPT, b"999999999"),), 998),
        (((ATTEMPT, b"12"),), 12),
        (((ATTEMPT, b"1"), (ATTEMPT, b"2")), 2),
        (((ATTEMPT.upper(), b"2"),), 0),
        *(
            (((ATTEMPT, content),), 0)
            for content in (
                b"0", b"-1", b"+1", b"01", b" 1", b"1 ", b"1\n", b"1.0", b"1e3", b"", b"\xff",
                "\uff11".encode(), "²".encode(), b"1_0", b"9" * 10, b"9" * 5000,
            )
        ),
    ],
)  # fmt: skip
def test_how_often_a_message_had_failed_before(headers: Headers, failures: int) -> None:
    assert failures_before((*headers, (REPLAY_OF, b"orders/0:1:0"))) == failures


@pytest.mark.parametrize("others", [(), ((REPLAY_OF, b""),), ((REPLAY_OF, b"orders/0:1"),),
                                    ((REPLAY_OF, b"orders/0:1:0"), (REPLAY_OF, b"x"))])  # fmt: skip
def test_only_a_replay_tells_of_failures(others: Headers) -> None:
    assert failures_before(((ATTEMPT, b"3"), *others)) == 0


def test_a_dead_letter_has_no_more_attempts_than_are_counted() -> None:
    headers = tuple((n, b"123456" if n == ATTEMPT else v) for n, v in headers_of(DEAD_LETTER))
    found = dead_letter_in(Message(PLACE, b"{]", None, 0, headers))
    assert found
    assert found.attempt == 999


@given(TOPICS, NUMBERS, NUMBERS, NUMBERS)
def test_identities_are_read_as_they_are_written(
    topic: str, partition: int, offset: int, index: int
) -> None:
    identity = Identity(Origin(topic, partition, offset), index)
    assert Identity.parse(str(identity)) == identity
    assert replayed_identity(((REPLAY_OF, str(identity).encode()),)) == identity


@pytest.mark.parametrize(
    "text", ["", "orders", "orders/0", "orders/0:1", "/0:1:2", "orders/0:1:-2", "o/0:1:²",
             "a b/0:1:2", "orders/0:1:2:3", "orders/0:1:2 ", "orders/0:1:99999999999999999999"]
)  # fmt: skip
def test_what_is_no_identity(text: str) -> None:
    with pytest.raises(ValueError, match="identity"):
        Identity.parse(text)
    assert replayed_identity(((REPLAY_OF, text.encode()),)) is None
    assert replayed_identity(((REPLAY_OF, b"\xff"),)) is None
    assert replayed_identity(()) is None
