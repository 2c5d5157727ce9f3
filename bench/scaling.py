"""One and two of each process, side by side; all share the cores of one machine here."""

import signal
from contextlib import ExitStack
from functools import partial

from bench.documents import Made, digests, make, rows, write
from bench.figures import Figure, Limit, Target
from bench.ingest import COPY, copied
from bench.place import Place, check
from bench.product import api, consumer, is_assigned
from bench.reads import hot_load, in_pairs
from bench.watching import pace

_PARTITIONS = 4


def measure(place: Place, dsn: str) -> list[Figure]:
    """Workers of the API for reads, consumers of four partitions for the ingest."""
    one, two = (_reads(place, dsn, workers) for workers in (1, 2))
    figures = [
        Figure(
            "scaling",
            f"{name}, 2 API workers",
            "requests/s",
            [two[name]],
            Limit([one[name]], "1 worker"),
        )
        for name in one
    ]
    made = make(40_000_000, place.sizes.backlog)
    held = rows(made.values)
    (folder := place.folder / "scaling").mkdir()
    files, expected = write(held, folder), digests(held)
    double, copies, single = in_pairs(
        place,
        "scaling: ingest",
        place.sizes.rounds,
        partial(_ingest, place, made, expected, 2),
        partial(copied, place, made, files, expected),
        partial(_ingest, place, made, expected, 1),
    )
    ingest = f"ingest of {_PARTITIONS} partitions, 2 consumers"
    return [
        *figures,
        Figure("scaling", ingest, "orders/s", double, Limit(copies, COPY), target=Target(0.9)),
        Figure("scaling", ingest, "orders/s", double, Limit(single, "1 consumer")),
    ]


def _reads(place: Place, dsn: str, workers: int) -> dict[str, float]:
    place.say(f"scaling: reads by {workers} workers")
    many = str(place.folder / "shop.targets")
    with api(place, dsn, ORDERS_HTTP_WORKERS=str(workers)) as running:
        check(len(running.pids()) >= workers, f"not {workers} workers: {running.pids()}")
        return {
            "hot GET": place.load(port=running.port, **hot_load(place))["rate"],
            f"GET uniformly over {place.sizes.many:,}": place.load(
                port=running.port, targets=many, bodies=str(place.folder / "shop.bodies")
            )["rate"],
        }


def _ingest(place: Place, made: Made, expected: dict[str, str], consumers: int) -> float:
    """They wait for the orders, and not the other way round: all have their partitions then."""
    topic = place.produce((), _PARTITIONS)
    more = {
        "ORDERS_KAFKA_GROUP": place.new_name("group"),
        "ORDERS_KAFKA_PARTITIONS": str(_PARTITIONS),
    }
    with place.database() as dsn, ExitStack() as stack:
        started = [
            stack.enter_context(consumer(place, dsn, topic, **more)) for _ in range(consumers)
        ]
        for each in started:
            each.wait_until(lambda each=each: is_assigned(each), "given partitions")  # type: ignore[misc]
        # Producing takes a core as well: they begin when it is over.
        for each in started:
            each.process.send_signal(signal.SIGSTOP)
        place.send(topic, made.values, _PARTITIONS)
        for each in started:
            each.process.send_signal(signal.SIGCONT)
        found = pace(started[0], dsn, (), len(made.values))
        check(place.digests(dsn) == expected, "other rows are stored")
    return found.messages
