"""What is sent again is judged as it was."""

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from orders.domain.intake.messages import DeadLetter, Message, Origin
from orders.domain.intake.reading import read

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
blanks = st.sampled_from([b"", b" ", b"\n\t"])


@given(st.lists(json_values, min_size=1, max_size=4), blanks)
def test_an_element_alone_is_read_as_it_was_in_its_array(elements: list[object], b: bytes) -> None:
    whole = b"[" + b",".join(b + msgspec.json.encode(element) for element in elements) + b"]"
    refused = read(whole).refused
    assert len(refused) == len(elements)
    for one in refused:
        message = Message(Origin("orders", 0, 1), whole)
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        dead_letter = DeadLetter(message, one.index, one.raw, one.code, "", moment)
        [again] = read(dead_letter.as_message).refused
        assert again.code == one.code


@given(st.binary(max_size=20))
def test_a_whole_message_is_read_as_it_was(value: bytes) -> None:
    [one] = read(b"{" + value).refused or [None]
    if one is not None:
        message = Message(Origin("orders", 0, 1), one.raw)
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        dead_letter = DeadLetter(message, 0, one.raw, one.code, "", moment)
        assert dead_letter.as_message == one.raw
