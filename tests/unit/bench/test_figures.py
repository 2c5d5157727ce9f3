"""The sums behind the table are right, and so is what it says of targets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import Figure, Limit, Target, percentile


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.501, 51), (0.99, 99), (1.0, 100)]
)
def test_percentile_is_a_value_that_was_seen(share: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_enough_values_are_not_above_a_percentile(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < max(share * len(values), 1)


def test_of_nothing_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_a_ratio_is_that_of_the_pairs() -> None:
    # The machine was slow in the third round, for both.
    figure = Figure("row", "what", "1/s", [80, 90, 8], Limit([100, 100, 10], "it"))
    assert figure.ratio == pytest.approx(0.8)
    assert (figure.value, figure.limit_value) == (80, 100)


def test_without_a_limit_the_figure_itself_is_judged() -> None:
    figure = Figure("row", "what", "ms", [10, 30, 20], target=Target(most=20))
    assert figure.ratio is None
    assert figure.judged == 20
    assert figure.is_met


def test_an_allowance_is_taken_off_before() -> None:
    figure = Figure("row", "what", "s", [1.6], Limit([0.5], "it"), allowance=1.0)
    assert figure.ratio == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target(0.7), 0.7, True),
        (Target(0.7), 0.699, False),
        (Target(most=1.5), 1.5, True),
        (Target(most=1.5), 1.51, False),
    ],
)
def test_targets(target: Target, value: float, *, met: bool) -> None:
    assert target.is_met(value) is met
    assert Figure("row", "what", "", [value], target=target).is_met is met


def test_what_has_no_target_is_neither_met_nor_missed() -> None:
    assert Figure("row", "what", "", [1.0]).is_met is None


def test_scores_are_above_one_where_a_target_is_met() -> None:
    assert Target(0.5).score(1.0) == pytest.approx(2.0)
    assert Target(most=2.0).score(4.0) == pytest.approx(0.5)
    assert Target(most=2.0).score(0.0) == float("inf")
    assert Target(most=2.0).score(-0.5) == float("inf")
