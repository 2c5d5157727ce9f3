"""Each row of the bench has one name, by which it is found."""

from bench.catalog import ALONE, IN_THE_SHOP, LARGE, NAMES
from bench.readme import SHOWN


def test_each_name_is_that_of_one_row() -> None:
    assert not set(ALONE) & set(IN_THE_SHOP)
    assert sorted([*NAMES, LARGE]) == sorted([*ALONE, *IN_THE_SHOP])


def test_what_takes_long_is_left_out_unless_it_is_named() -> None:
    assert LARGE not in NAMES


def test_what_the_readmes_show_is_measured_each_time() -> None:
    assert {shown.row for shown in SHOWN} <= set(NAMES)
