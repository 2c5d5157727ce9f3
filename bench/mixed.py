"""Reads while a backlog is taken in, beside each of them alone."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from bench.documents import digests, make, rows, write
from bench.figures import Figure, Limit, Target
from bench.place import Place, check
from bench.product import api, consumer, is_assigned
from bench.reads import in_pairs, targets

_FIRST = 60_000_000
_SHARE = 0.125
_ORDERS_A_SECOND = 40_000
"""More than are taken in, so that the backlog outlasts the reads."""
_PAUSE = 0.01
_MOST_SECONDS = 300.0

Found = dict[str, dict[str, Any]]


class _Mixed(NamedTuple):
    """What one of the samples has found: of the reads, and orders taken in a second."""

    reads: Found
    ingest: float


class _Work(NamedTuple):
    """What is to be done: a database to start from, a backlog, and loads by their names.

    Attributes:
        model: a database of the orders that are read.
        topic: holds the backlog, ``new`` orders.
        expected: digests of the tables when all of it is stored.
        loads: see ``bench.load.Spec``.
    """

    model: str
    topic: str
    new: int
    expected: dict[str, str]
    loads: Found


def measure(place: Place) -> list[Figure]:
    """Hot GET and GET of many at once, each at an eighth of what an idle API answers of it.

    Reads that take all that they can get would show how the machine divides its cores, no more.
    """
    place.say("mixed: filling the topic")
    new, stored = make(_FIRST, place.sizes.mixed), make(0, place.sizes.few)
    (folder := place.folder / "mixed").mkdir()
    files = write(rows(stored.values), folder)
    expected = digests(rows([*stored.values, *new.values]))
    loads = {
        name: {
            "targets": place.file(f"{name}.targets", targets(stored.uids[:amount])),
            "bodies": place.file(f"{name}.bodies", stored.values[:amount]),
        }
        for name, amount in (("hot GET", 1), (f"GET over {place.sizes.few:,}", place.sizes.few))
    }
    with place.database() as model:
        place.copy(model, files)
        place.settle(model)
        with place.database(like=model) as dsn, api(place, dsn) as running:
            for what in loads.values():
                what["rate"] = _SHARE * place.load(port=running.port, **what)["rate"]
        work = _Work(model, place.produce(new.values), len(new.values), expected, loads)
        idle, alone, both = in_pairs(
            place,
            "mixed",
            max(1, place.sizes.rounds - 1),  # each takes a minute
            partial(_reads_alone, place, work),
            partial(_ingest_alone, place, work),
            partial(_both, place, work),
        )
    return [
        *(
            Figure(
                "mixed",
                f"{name} beside ingest, 99th percentile",
                "ms",
                [each.reads[name]["p99"] * 1e3 for each in both],
                Limit([each[name]["p99"] * 1e3 for each in idle], "the same without"),
                target=Target(most=3),
                note=f"{what['rate']:,.0f} requests a second, an eighth of what the idle API does",
            )
            for name, what in loads.items()
        ),
        Figure(
            "mixed",
            "ingest beside these reads",
            "orders/s",
            [each.ingest for each in both],
            Limit(alone, "the same without"),
            target=Target(0.6),
        ),
    ]


def _reads(place: Place, port: int, loads: Found) -> Found:
    """Both loads at once."""
    seconds = place.sizes.mixed / _ORDERS_A_SECOND
    with ThreadPoolExecutor(len(loads)) as pool:
        futures = {
            name: pool.submit(place.load, port=port, seconds=seconds, **what)
            for name, what in loads.items()
        }
        return {name: future.result() for name, future in futures.items()}


def _reads_alone(place: Place, work: _Work) -> Found:
    """With a consumer that has nothing to do."""
    empty = place.produce(())
    with place.database(like=work.model) as dsn, api(place, dsn) as running:
        running.give_weight()
        prefix = running.environment["ORDERS_CACHE_PREFIX"]
        with consumer(place, dsn, empty, ORDERS_CACHE_PREFIX=prefix) as taking:
            taking.wait_until(lambda: is_assigned(taking), "given partitions")
            return _reads(place, running.port, work.loads)


def _ingest_alone(place: Place, work: _Work) -> float:
    """With an API that nobody asks."""
    seconds = place.sizes.warm_up + place.sizes.mixed / _ORDERS_A_SECOND
    return _take_in(place, work, lambda _port: time.sleep(seconds))[1]


def _both(place: Place, work: _Work) -> _Mixed:
    return _Mixed(*_take_in(place, work, lambda port: _reads(place, port, work.loads), to_end=True))


def _take_in(
    place: Place, work: _Work, meanwhile: Callable[[int], Any], *, to_end: bool = False
) -> tuple[Any, float]:
    """Take in the backlog, and do something with the API meanwhile; orders a second during that.

    ``to_end``: go on until all is stored, and check that.
    """
    count = "SELECT count(*) FROM orders"
    with place.database(like=work.model) as dsn, api(place, dsn) as running:
        running.give_weight()
        place.settle(dsn)
        base = place.ask(dsn, count)
        prefix = running.environment["ORDERS_CACHE_PREFIX"]
        with consumer(place, dsn, work.topic, ORDERS_CACHE_PREFIX=prefix) as taking:
            taking.wait_until(lambda: place.ask(dsn, count) > base, "storing", _PAUSE)
            before, began = place.ask(dsn, count), time.perf_counter()
            found = meanwhile(running.port)
            after, took = place.ask(dsn, count), time.perf_counter() - began
            check(after < base + work.new, "the backlog has not outlasted the reads")
            if to_end:
                all_of_it = base + work.new
                taking.wait_until(
                    lambda: place.ask(dsn, count) == all_of_it, "done", 0.2, _MOST_SECONDS
                )
        if to_end:
            check(place.digests(dsn) == work.expected, "what is stored is not what was sent")
    return found, (after - before) / took
