"""The rows of the bench, by the names that the command line knows."""

from collections.abc import Callable
from contextlib import ExitStack

from bench import (
    arrivals,
    events,
    growth,
    hot,
    ingest,
    listing,
    memory,
    mixed,
    reads,
    safeguards,
    scaling,
    starting,
    takeover,
)
from bench.figures import Figure
from bench.place import Place

ALONE: dict[str, Callable[[Place], list[Figure]]] = {
    "ingest": ingest.measure,
    "mixed": mixed.measure,
    "arrival": arrivals.measure,
    "events": events.measure,
    "takeover": takeover.measure,
    "start": starting.measure,
    "memory": memory.measure,
    "growth": growth.measure,
    "large": growth.measure_large,
}
"""These make their own databases."""

IN_THE_SHOP: dict[str, Callable[[Place, str], list[Figure]]] = {
    "hot": hot.measure,
    "uniform": reads.uniform,
    "missing": reads.missing,
    "safeguards": safeguards.measure,
    "list": listing.measure,
    "scaling": scaling.measure,
}
"""These read one database of many orders."""

NAMES = (
    *("ingest", "hot", "uniform", "missing", "safeguards", "list", "scaling", "mixed"),
    *("arrival", "events", "takeover", "start", "memory", "growth"),
)
"""In the order in which they are done."""
LARGE = "large"
"""Only where it is asked for, as it takes long and much of the disk."""


def perform(place: Place, names: list[str], done: Callable[[str, list[Figure]], None]) -> None:
    """Measure the rows of these names; ``done`` is handed what each has given."""
    with ExitStack() as stack:
        dsn = ""
        for name in names:
            if name in ALONE:
                done(name, ALONE[name](place))
                continue
            dsn = dsn or stack.enter_context(reads.shop(place))
            done(name, IN_THE_SHOP[name](place, dsn))
