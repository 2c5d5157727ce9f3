"""From the producer to whoever waits for the order over HTTP, with nothing else going on."""

import http.client
import time
from collections.abc import Callable
from functools import partial

from confluent_kafka import Producer

from bench.documents import make
from bench.figures import Figure, Limit, Target, percentile
from bench.place import Place, check
from bench.product import api, consumer, is_assigned

_PAUSE = 0.001
_BETWEEN = 0.03
_MISSED_FOR = 0.1
_MOST_SECONDS = 10.0


def measure(place: Place) -> list[Figure]:
    """Orders that arrive one after another; half of them are asked for before they are sent."""
    amount = place.sizes.arrivals
    made = make(20_000_000, 2 * amount + 10)
    topic = place.produce(())
    fresh, missed = list[float](), list[float]()
    with (
        place.database() as dsn,
        api(place, dsn, topic) as running,
        consumer(
            place, dsn, topic, ORDERS_CACHE_PREFIX=running.environment["ORDERS_CACHE_PREFIX"]
        ) as taking,
    ):
        taking.wait_until(lambda: is_assigned(taking), "given partitions")
        producer = Producer(
            {"bootstrap.servers": place.servers.bootstrap, "linger.ms": 0, "log_level": 0}
        )

        def send(value: bytes) -> None:
            producer.produce(topic, value)
            producer.poll(0)

        arrive = partial(_arrive, running.port, send)
        pairs = list(zip(made.uids, made.values, strict=True))
        for uid, value in pairs[-10:]:
            arrive(uid, value)
        for number in range(amount):
            place.say(f"arrivals: {number + 1} of {amount}")
            uid, value = pairs[2 * number]
            fresh.append(arrive(uid, value) * 1e3)
            uid, value = pairs[2 * number + 1]
            missed.append(arrive(uid, value, _MISSED_FOR) * 1e3)
        producer.flush(10)
        batches = place.ask(dsn, "SELECT count(DISTINCT xmin::text) FROM orders")
        lone = len(pairs) / batches
    any_fresh = "any fresh one"
    return [
        Figure(
            "arrival",
            "produce to readable, median",
            "ms",
            [percentile(fresh, 0.5)],
            target=Target(most=20),
            note="from before the produce call; asked for every millisecond from then on",
        ),
        Figure(
            "arrival",
            "produce to readable, 99th percentile",
            "ms",
            [percentile(fresh, 0.99)],
            target=Target(most=100),
        ),
        Figure(
            "missing",
            "one that was missed and then arrives, median",
            "ms",
            [percentile(missed, 0.5)],
            Limit([percentile(fresh, 0.5)], any_fresh),
            target=Target(most=1.3),
            note=f"asked for since {_MISSED_FOR:g} s before it was sent",
        ),
        Figure(
            "missing",
            "the 99th percentile of that",
            "ms",
            [percentile(missed, 0.99)],
            Limit([percentile(fresh, 0.99)], any_fresh),
        ),
        Figure("batches", "orders in a transaction, arriving alone", "orders", [lone]),
    ]


def _arrive(
    port: int, send: Callable[[bytes], None], uid: str, value: bytes, missed_for: float = 0.0
) -> float:
    """Produce it, and wait until it is read as it was sent; the seconds that took.

    ``missed_for``: how long to ask for it before that, in seconds.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        time.sleep(_BETWEEN)
        over = time.perf_counter() + missed_for
        while time.perf_counter() < over:
            check(_get(connection, uid)[0] == 404, "there is an order that nobody has sent")
            time.sleep(_PAUSE)
        began = time.perf_counter()
        send(value)
        while True:
            status, body = _get(connection, uid)
            now = time.perf_counter()
            if status == 200:
                check(body == value, "the order is read otherwise than it was sent")
                return now - began
            check(status == 404, f"status {status} for an order that is on its way")
            check(now - began < _MOST_SECONDS, "an order does not arrive")
            time.sleep(_PAUSE)
    finally:
        connection.close()


def _get(connection: http.client.HTTPConnection, uid: str) -> tuple[int, bytes]:
    connection.request("GET", f"/orders/{uid}")
    answer = connection.getresponse()
    return answer.status, answer.read()
