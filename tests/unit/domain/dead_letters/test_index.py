"""How the index of dead letters keeps them."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from orders.domain.dead_letters.index import DeadLetterIndex, DeadLetterSummary, summary_of
from orders.domain.intake.messages import MAX_ATTEMPT, DeadLetter, Identity, Message, Origin
from orders.domain.ports import Entry, Places

numbers = st.integers(0, 2**63 - 1)
times = st.datetimes(timezones=st.just(UTC))


@given(st.lists(st.tuples(st.integers(0, 3), numbers), unique=True), st.integers(0, 9))
def test_places(places: list[tuple[int, int]], more: int) -> None:
    kept = Places(places)
    assert len(kept) == len(places)
    assert all(place in kept for place in places)
    assert [place in kept for place in ((more, more), (0, 7))] == [
        place in places for place in ((more, more), (0, 7))
    ]
    assert kept.bounds == {
        number: (min(found), max(found))
        for number in range(4)
        if (found := [offset for partition, offset in places if partition == number])
    }


@given(times, numbers, st.integers(1, MAX_ATTEMPT), st.binary(), numbers)
def test_what_it_keeps_is_what_it_got(
    failed_at: datetime, offset: int, attempt: int, value: bytes, timestamp: int
) -> None:
    index = DeadLetterIndex()
    message = Message(Origin("orders", 2**31 - 1, offset), None, b"k", timestamp)
    dead_letter = DeadLetter(message, 7, value, "excessive", "detail", failed_at, attempt, 9)
    entry = Entry((2**31 - 1, offset), dead_letter)
    index.add(entry)
    kept = index.dead_letters[Identity(message.origin, 7)]
    assert kept == summary_of(entry.place, dead_letter)
    assert isinstance(kept, DeadLetterSummary)
    assert index.root_at(entry) == dead_letter.identity
    assert index.root_at(Entry((0, 0), dead_letter)) is None
    assert index.root_at(Entry(entry.place, None)) is None
