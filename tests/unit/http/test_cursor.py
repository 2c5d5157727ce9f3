import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.domain.order.queries import Cursor
from orders.entrypoints.http.orders.cursor import from_text, to_text
from tests.strategies import identifiers, instants

ALPHABET = string.ascii_letters + string.digits + "-_"
cursors = st.builds(Cursor, instants(), identifiers())


@given(cursors)
def test_a_cursor_survives_a_url(cursor: Cursor) -> None:
    text = to_text(cursor)
    assert from_text(text) == cursor
    assert set(text) <= set(ALPHABET)


@given(st.one_of(st.text(), st.text(ALPHABET)))
def test_other_texts_are_none(text: str) -> None:
    assert is_none(text)


@given(cursors, st.data())
def test_spoilt_cursors_are_others_or_none(cursor: Cursor, data: st.DataObject) -> None:
    text = to_text(cursor)
    at = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.one_of(st.characters(), st.sampled_from(ALPHABET)))
    spoilt = text[:at] + character + text[at + 1 :]
    assert is_none(spoilt) or to_text(from_text(spoilt)) == spoilt


def is_none(text: str) -> bool:
    """Whether reading it raises just the error that it should."""
    try:
        from_text(text)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("text", ["", "A", "====", "gA", "ktb_AAAAAGGggOuzYjU2M2Zl", "ü"])
def test_not_a_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        from_text(text)
