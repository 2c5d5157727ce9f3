"""From the producer to the row, and to whoever waits over HTTP, with nothing else going on."""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import NamedTuple

import psycopg
from confluent_kafka import Producer

from bench.documents import make
from bench.figures import Figure, Limit, Target, percentile
from bench.place import Place, check
from bench.plain import PLAIN, is_here, plain_api, plain_consumer
from bench.product import api, consumer, is_assigned

_PAUSE = 0.001
_ROW_PAUSE = 0.0002
_BETWEEN = 0.03
_MISSED_FOR = 0.1
_MOST_SECONDS = 10.0
_IS_STORED = "SELECT 1 FROM orders WHERE order_uid = %s"

IsThere = Callable[[str, bytes], bool]


class _Way(NamedTuple):
    """A service on topic and database of its own; each of the two says whether an order is there.

    ``topic``: of its orders.
    """

    topic: str
    row: IsThere
    http: IsThere


def measure(place: Place) -> list[Figure]:
    """Orders that arrive one after another, in turns at the product and at the plain service."""
    amount = place.sizes.arrivals
    made = make(20_000_000, 5 * amount + 20)
    orders = zip(made.uids, made.values, strict=True)
    producer = Producer(
        {"bootstrap.servers": place.servers.bootstrap, "linger.ms": 0, "log_level": 0}
    )
    row, readable, missed = list[float](), list[float](), list[float]()
    plain_row, plain_readable = list[float](), list[float]()
    with ExitStack() as stack:
        ours, dsn = _product(place, stack)
        plain = _plain(place, stack) if is_here(place) else None
        arrive = partial(_arrive, producer, orders)
        for way in filter(None, (ours, plain)):
            for _ in range(10):
                arrive(way.topic, way.http)
        for number in range(amount):
            place.say(f"arrivals: {number + 1} of {amount}")
            row.append(arrive(ours.topic, ours.row))
            readable.append(arrive(ours.topic, ours.http))
            missed.append(arrive(ours.topic, ours.http, _MISSED_FOR))
            if plain:
                plain_row.append(arrive(plain.topic, plain.row))
                plain_readable.append(arrive(plain.topic, plain.http))
        batches = place.ask(dsn, "SELECT count(DISTINCT xmin::text) FROM orders")
        lone = place.ask(dsn, "SELECT count(*) FROM orders") / batches
    return [
        *_figures("produce to row", row, plain_row, Target(most=5), None),
        *_figures("produce to readable", readable, plain_readable, Target(most=8), Target(most=12)),
        Figure(
            "missing",
            "one that was missed and then arrives, median",
            "ms",
            [percentile(missed, 0.5)],
            Limit([percentile(readable, 0.5)], "any fresh one"),
            target=Target(most=1.3),
            note=f"asked for since {_MISSED_FOR:g} s before it was sent",
        ),
        Figure("batches", "orders in a transaction, arriving alone", "orders", [lone]),
    ]


def _figures(
    what: str,
    found: list[float],
    plain: list[float],
    of_median: Target,
    of_p90: Target | None,
) -> Iterator[Figure]:
    median = [percentile(found, 0.5)]
    yield Figure(
        "arrival",
        f"{what}, median",
        "ms",
        median,
        target=of_median,
        note="from before the produce call",
    )
    if plain:
        beside = Limit([percentile(plain, 0.5)], PLAIN)
        yield Figure("arrival", f"{what}, median", "ms", median, beside)
    yield Figure(
        "arrival",
        f"{what}, 90th percentile",
        "ms",
        [percentile(found, 0.9)],
        target=of_p90,
        note=f"at most {max(found):.1f} ms",
    )


def _product(place: Place, stack: ExitStack) -> tuple[_Way, str]:
    topic, dsn = place.produce(()), stack.enter_context(place.database())
    serving = stack.enter_context(api(place, dsn, topic))
    prefix = serving.environment["ORDERS_CACHE_PREFIX"]
    taking = stack.enter_context(consumer(place, dsn, topic, ORDERS_CACHE_PREFIX=prefix))
    taking.wait_until(lambda: is_assigned(taking), "given partitions")
    return _Way(topic, _row(stack, dsn), _readable(stack, serving.port)), dsn


def _plain(place: Place, stack: ExitStack) -> _Way:
    topic, dsn = place.produce(()), stack.enter_context(place.database())
    serving = stack.enter_context(plain_api(place, dsn))
    stack.enter_context(plain_consumer(place, dsn, topic))
    return _Way(topic, _row(stack, dsn), _readable(stack, serving.port))


def _arrive(
    producer: Producer,
    orders: Iterator[tuple[str, bytes]],
    topic: str,
    is_there: IsThere,
    missed_for: float = 0.0,
) -> float:
    """Produce the next order, and wait until it is there; the milliseconds that took.

    ``missed_for``: how long to ask for it before that, in seconds.
    """
    uid, value = next(orders)
    time.sleep(_BETWEEN)
    over = time.perf_counter() + missed_for
    while time.perf_counter() < over:
        check(not is_there(uid, value), "there is an order that nobody has sent")
    began = time.perf_counter()
    producer.produce(topic, value)
    producer.poll(0)
    while not is_there(uid, value):
        check(time.perf_counter() - began < _MOST_SECONDS, "an order does not arrive")
    return (time.perf_counter() - began) * 1e3


def _row(stack: ExitStack, dsn: str) -> IsThere:
    """Whether its row is visible, by a prepared query."""
    connection = stack.enter_context(psycopg.connect(dsn, autocommit=True))

    def is_stored(uid: str, _value: bytes) -> bool:
        found = connection.execute(_IS_STORED, [uid], prepare=True).fetchone()
        if not found:
            time.sleep(_ROW_PAUSE)
        return found is not None

    return is_stored


def _readable(stack: ExitStack, port: int) -> IsThere:
    """Whether it is read over HTTP, as it was sent."""
    connection = stack.enter_context(
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10))
    )

    def is_readable(uid: str, value: bytes) -> bool:
        connection.request("GET", f"/orders/{uid}")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status == 200:
            check(body == value, "the order is read otherwise than it was sent")
            return True
        check(answer.status == 404, f"status {answer.status} for an order that is on its way")
        time.sleep(_PAUSE)
        return False

    return is_readable
