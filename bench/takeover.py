"""After kill -9 of one consumer of two: until the orders of its partitions are stored again."""

import time
from contextlib import ExitStack
from itertools import chain
from typing import NamedTuple

from confluent_kafka import Producer

from bench.documents import make
from bench.figures import Figure, Target
from bench.place import Place, check
from bench.product import Running, consumer
from bench.watching import committed

_PARTITIONS = 2
_PAUSE = 0.005
_HEARTBEAT = 2.1
"""Seconds between two heartbeats of a member. Nobody chooses when a process is killed, so that is
done at moments spread over this time: just after one its session lasts longest."""
_MOST_SECONDS = 60.0


class _Kind(NamedTuple):
    """A way to be taken over.

    Attributes:
        name: for the table.
        settings: of both consumers; ``{}`` in a value stands for the number of each.
        restarted: whether the killed one is started again at once, as a supervisor does it.
        most: seconds that it may take.
    """

    name: str
    settings: dict[str, str]
    restarted: bool
    most: float


KINDS = (
    _Kind("by the other one", {}, restarted=False, most=6),
    _Kind(
        "started again, with static membership",
        {"ORDERS_KAFKA_INSTANCE_ID": "consumer-{}"},
        restarted=True,
        most=1,
    ),
)


def measure(place: Place) -> list[Figure]:
    """From the kill to the first commit of an order in a partition of the killed consumer."""
    return [
        Figure(
            "takeover",
            f"after kill -9, {kind.name}",
            "s",
            [_take_over(place, kind, number) for number in range(place.sizes.rounds)],
            target=Target(most=kind.most),
            note="from the kill to the commit of an order in a partition of the killed consumer",
        )
        for kind in KINDS
    ]


def _take_over(place: Place, kind: _Kind, number: int) -> float:
    place.say(f"takeover {kind.name}: {number + 1} of {place.sizes.rounds}")
    topic = place.produce((), _PARTITIONS)
    group = {
        "ORDERS_KAFKA_GROUP": place.new_name("group"),
        "ORDERS_KAFKA_PARTITIONS": str(_PARTITIONS),
    }
    each_its_own = [
        group | {name: value.format(at) for name, value in kind.settings.items()} for at in (0, 1)
    ]
    made = make(70_000_000 + number * 10, _PARTITIONS)
    producer = Producer({"bootstrap.servers": place.servers.bootstrap, "log_level": 0})
    with place.database() as dsn, ExitStack() as stack:
        dead, other = (
            stack.enter_context(consumer(place, dsn, topic, **more)) for more in each_its_own
        )
        other.wait_until(lambda: _have_one_each(dead, other), "given a partition each")
        [partition] = _partitions(dead)
        with committed(other) as group_offsets:
            time.sleep(_HEARTBEAT * (number + 0.5) / place.sizes.rounds)
            dead.kill()
            killed = time.perf_counter()
            if kind.restarted:
                stack.enter_context(consumer(place, dsn, topic, **each_its_own[0]))
            producer.produce(topic, made.values[0], partition=partition)
            check(producer.flush(10) == 0, "the broker did not take the order")
            while not group_offsets.each()[partition]:
                check(time.perf_counter() - killed < _MOST_SECONDS, "nobody takes over")
                time.sleep(_PAUSE)
            took = time.perf_counter() - killed
        found = place.ask(dsn, "SELECT count(*) FROM orders")
        check(found == 1, f"{found} orders are stored, and 1 was sent")
    return took


def _have_one_each(*consumers: Running) -> bool:
    found = [_partitions(each) for each in consumers]
    return all(found) and sorted(chain(*found)) == list(range(_PARTITIONS))


def _partitions(made: Running) -> list[int]:
    """Those that it was given last."""
    found = list[int]()
    for line in made.logged("partitions assigned"):
        found = line["partitions"]
    return found
