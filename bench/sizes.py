"""How much of everything: the full bench, and the quick one, which shows that all of it works."""

from typing import NamedTuple


class Sizes(NamedTuple):
    """What a row takes.

    Attributes:
        rounds: pairs of limit and product.
        pairs: the same of loads on single orders: more, since they are short and machines waver.
        seconds: of load that is counted, a sample.
        warm_up: seconds of load before that.
        backlog: orders that wait when the consumer starts.
        plain: orders that wait when the plain Python service starts.
        mixed: orders that wait when reads and ingest share the machine.
        few: orders of the smallest uniform reads.
        several: orders of those in between.
        many: orders of the largest ones, and of the whole list.
        small: orders of the smaller database of the growth.
        large: orders of the larger one.
        huge: orders of the largest one, beside a tenth of them.
        growing: orders that are taken in beside those and counted, after as many that are not.
        arrivals: orders that arrive one after another in an idle system.
        starts: of each process.
    """

    rounds: int
    pairs: int
    seconds: float
    warm_up: float
    backlog: int
    plain: int
    mixed: int
    few: int
    several: int
    many: int
    small: int
    large: int
    huge: int
    growing: int
    arrivals: int
    starts: int


FULL = Sizes(
    rounds=3,
    pairs=7,
    seconds=2.0,
    warm_up=1.0,
    backlog=50_000,
    plain=600,
    mixed=200_000,
    few=5_000,
    several=20_000,
    many=100_000,
    small=10_000,
    large=1_000_000,
    huge=10_000_000,
    growing=25_000,
    arrivals=150,
    starts=5,
)
QUICK = Sizes(
    rounds=1,
    pairs=1,
    seconds=0.7,
    warm_up=0.3,
    backlog=6_000,
    plain=150,
    mixed=40_000,
    few=2_000,
    several=4_000,
    many=10_000,
    small=5_000,
    large=20_000,
    huge=200_000,
    growing=4_000,
    arrivals=10,
    starts=1,
)
