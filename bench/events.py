"""From the producer to whoever listens to GET /orders/events, alone and among many."""

import resource
import select
import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain, islice
from random import Random
from statistics import median

from confluent_kafka import Producer

from bench.documents import make, rows, write
from bench.figures import Figure, Limit, Target
from bench.place import Place, check
from bench.product import api, consumer, is_assigned
from bench.reads import targets

_LISTENERS = 2_000
"""As many as a process serves by default."""
_FIRST = 70_000_000
_SHARE = 0.125
_BETWEEN = 0.1
_MOST_SECONDS = 10.0
_OTHER_FILES = 256
_REQUEST = b"GET /orders/events HTTP/1.1\r\nhost: bench\r\n\r\n"
_RECEIVE = 65_536

Listeners = dict[int, socket.socket]
"""By their file numbers."""


def measure(place: Place) -> list[Figure]:
    """Orders that arrive one after another, with one listener, and with many beside hot GETs."""
    amount = place.sizes.arrivals // 3
    stored, new = make(0, 1), make(_FIRST, 2 * amount)
    orders = zip(new.uids, new.values, strict=True)
    (folder := place.folder / "events").mkdir()
    with ExitStack() as stack:
        topic, dsn = place.produce(()), stack.enter_context(place.database())
        place.copy(dsn, write(rows(stored.values), folder))
        serving = stack.enter_context(api(place, dsn, topic))
        prefix = serving.environment["ORDERS_CACHE_PREFIX"]
        taking = stack.enter_context(consumer(place, dsn, topic, ORDERS_CACHE_PREFIX=prefix))
        taking.wait_until(lambda: is_assigned(taking), "given partitions")
        hot = partial(
            place.load,
            port=serving.port,
            targets=place.file("events.targets", targets(stored.uids)),
            bodies=place.file("events.bodies", stored.values),
        )
        hot = partial(hot, rate=_SHARE * hot()["rate"])
        place.say("events: one listener")
        with _listening(serving.port, 1) as listeners:
            alone = _arrive(place, topic, islice(orders, amount), listeners)
        idle = hot()
        place.say(f"events: {_LISTENERS:,} listeners")
        with _listening(serving.port, _LISTENERS) as listeners, ThreadPoolExecutor(1) as pool:
            loaded = pool.submit(hot, seconds=2 * amount * _BETWEEN)
            among = _arrive(place, topic, orders, listeners)
            beside = loaded.result()
    rate = f"{beside['rate']:,.0f} requests a second, an eighth of what the idle API does"
    many = f"{_LISTENERS:,} listeners"
    return [
        _figure("one listener", alone),
        _figure(f"{many} beside hot GETs", among),
        Figure(
            "events",
            f"hot GET beside events to {many}, 99th percentile",
            "ms",
            [beside["p99"] * 1e3],
            Limit([idle["p99"] * 1e3], "the same without"),
            target=Target(most=3),
            note=rate,
        ),
    ]


def _figure(who: str, took: list[list[float]]) -> Figure:
    last = median(map(max, took))
    return Figure(
        "events",
        f"produce to event, {who}, median",
        "ms",
        [median(chain.from_iterable(took))],
        target=Target(most=50),
        note=f"of all listeners and orders; {last:.0f} ms to the last listener at the median",
    )


@contextmanager
def _listening(port: int, number: int) -> Iterator[Listeners]:
    """Listen with so many connections, whose streams have begun."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number + _OTHER_FILES), hard))
    with ExitStack() as stack:
        made = {}
        for _ in range(number):
            each = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            each.sendall(_REQUEST)
            answer = b""
            while b"\nid: " not in answer:
                answer += (part := each.recv(_RECEIVE))
                check(part and b"HTTP/1.1 200".startswith(answer[:12]), f"{answer!r}")
            made[each.fileno()] = each
        yield made


def _arrive(
    place: Place, topic: str, orders: Iterable[tuple[str, bytes]], listeners: Listeners
) -> list[list[float]]:
    """Produce orders, one after another; the milliseconds until each listener had its event."""
    producer = Producer(
        {"bootstrap.servers": place.servers.bootstrap, "linger.ms": 0, "log_level": 0}
    )
    took = []
    pauses = Random(_FIRST)
    with select.epoll() as poll:
        for number in listeners:
            poll.register(number, select.EPOLLIN)
        for uid, value in orders:
            # At any moment between two polls of the API: equal pauses keep in step with them.
            time.sleep(pauses.uniform(0.5, 1.5) * _BETWEEN)
            told = b'"order_uid":"%s"' % uid.encode()
            began = time.perf_counter()
            producer.produce(topic, value)
            producer.poll(0)
            arrived = list[float]()
            while len(arrived) < len(listeners):
                found = poll.poll(_MOST_SECONDS)
                check(found, "an event does not arrive")
                for number, _ in found:
                    part = listeners[number].recv(_RECEIVE)
                    check(part, "a stream has ended")
                    if told in part:  # else it is a heartbeat
                        arrived.append((time.perf_counter() - began) * 1e3)
            took.append(arrived)
    return took
