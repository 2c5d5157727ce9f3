"""The rows of the bench, by the names that the command line knows."""

from collections.abc import Callable
from contextlib import ExitStack

from bench import arrivals, growth, ingest, listing, reads, safeguards, scaling, starting
from bench.figures import Figure
from bench.place import Place

ALONE: dict[str, Callable[[Place], list[Figure]]] = {
    "ingest": ingest.measure,
    "arrival": arrivals.measure,
    "start": starting.measure,
    "growth": growth.measure,
}
"""These make their own databases."""

IN_THE_SHOP: dict[str, Callable[[Place, str], list[Figure]]] = {
    "hot": reads.hot,
    "uniform": reads.uniform,
    "missing": reads.missing,
    "safeguards": safeguards.measure,
    "list": listing.measure,
    "scaling": scaling.measure,
}
"""These read one database of many orders."""

NAMES = (
    *("ingest", "hot", "uniform", "missing", "safeguards", "list", "scaling"),
    *("arrival", "start", "growth"),
)
"""In the order in which they are done."""


def perform(place: Place, names: list[str], done: Callable[[str, list[Figure]], None]) -> None:
    """Measure the rows of these names; ``done`` is handed what each has given.

    And once more in the end: what the processes held that took part.
    """
    with ExitStack() as stack:
        dsn = ""
        for name in names:
            if name in ALONE:
                done(name, ALONE[name](place))
                continue
            dsn = dsn or stack.enter_context(reads.shop(place))
            done(name, IN_THE_SHOP[name](place, dsn))
    done("memory", starting.memory_figures(place))
