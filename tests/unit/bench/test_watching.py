"""The clock of the ingest counts what it has seen, and no more."""

import pytest

from bench.place import CheckFailed
from bench.watching import Clock


def test_what_was_there_at_the_first_look_is_not_counted() -> None:
    clock = Clock()
    for moment, number in ((9.0, 0), (10.0, 2_000), (11.0, 4_000), (12.0, 10_000)):
        clock.see(moment, number)
    assert clock.grown == 8_000
    assert clock.rate == pytest.approx(4_000.0)


def test_looks_after_the_end_do_not_slow_it_down() -> None:
    clock = Clock()
    for moment, number in ((1.0, 10), (2.0, 30), (3.0, 30), (9.0, 30)):
        clock.see(moment, number)
    assert clock.rate == pytest.approx(20.0)


@pytest.mark.parametrize("seen", [[], [(1.0, 0)], [(1.0, 5)], [(1.0, 5), (2.0, 5)]])
def test_what_was_not_seen_to_grow_has_no_rate(seen: list[tuple[float, int]]) -> None:
    clock = Clock()
    for moment, number in seen:
        clock.see(moment, number)
    with pytest.raises(CheckFailed):
        _ = clock.rate
