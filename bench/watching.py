"""How fast a consumer works, seen from outside: by the rows in PostgreSQL, and by its commits."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench.place import check
from bench.product import Running, cpu_seconds

_PAUSE = 0.02
_MOST_SECONDS = 300.0


class Clock:
    """The first and the last state that was seen of a number that grows.

    What came before it was first seen to have grown is not counted: nobody knows when that began.
    """

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._last = (0.0, 0)

    def see(self, moment: float, number: int) -> None:
        """Note what it is at this moment."""
        if self._first is None and number:
            self._first = (moment, number)
        if number > self._last[1]:
            self._last = (moment, number)

    @property
    def grown(self) -> int:
        """By how much it has grown."""
        check(self._first is not None, "nothing was seen")
        assert self._first is not None
        grown = self._last[1] - self._first[1]
        check(grown > 0, "all of it was there at the first look: too little to measure")
        return grown

    @property
    def rate(self) -> float:
        """How much it grew a second."""
        grown = self.grown
        assert self._first is not None
        return grown / (self._last[0] - self._first[0])


class Pace(NamedTuple):
    """Orders a second by the rows that were seen, and messages a second by the commits.

    ``cpu`` is the time of processors, in seconds, that the consumer took for an order meanwhile.
    """

    rows: float
    messages: float
    cpu: float


def pace(made: Running, dsn: str, uids: Sequence[str], messages: int, *, base: int = 0) -> Pace:
    """Watch a consumer until it has stored and committed everything.

    Args:
        made: the consumer.
        dsn: of the database.
        uids: of the orders that are stored then and were not before, in their order; none: it goes
            by the commits alone.
        messages: how many the topic holds.
        base: how many orders were stored before.
    """
    rows, commits = Clock(), Clock()
    cpu = 0.0
    is_stored = "SELECT 1 FROM orders WHERE order_uid = %s"
    deadline = time.perf_counter() + _MOST_SECONDS
    with psycopg.connect(dsn, autocommit=True) as connection, committed(made) as group:
        watched = uids[0] if uids else ""
        is_done = not uids
        while True:
            if watched and connection.execute(is_stored, [watched]).fetchone():
                now = time.perf_counter()
                found = connection.execute("SELECT count(*) FROM orders").fetchone()
                assert found is not None
                rows.see(now, found[0] - base)
                cpu = cpu_seconds([made.process.pid]) - cpu
                is_done |= watched == uids[-1]
                watched = "" if is_done else uids[-1]
            offsets = sum(group.each())
            if offsets:
                commits.see(time.perf_counter(), offsets)
            if is_done and offsets >= messages:
                if not uids:
                    return Pace(0.0, commits.rate, 0.0)
                return Pace(rows.rate, commits.rate, cpu / rows.grown)
            made.check_running()
            check(time.perf_counter() < deadline, f"{offsets} of {messages} messages in 5 minutes")
            time.sleep(_PAUSE)


@contextmanager
def committed(made: Running) -> Iterator["Committed"]:
    """Looks at the offsets of this consumer's group."""
    environment = made.environment
    client = Consumer(
        {
            "bootstrap.servers": environment["ORDERS_KAFKA_BOOTSTRAP"],
            "group.id": environment["ORDERS_KAFKA_GROUP"],
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    try:
        partitions = int(environment["ORDERS_KAFKA_PARTITIONS"])
        yield Committed(client, environment["ORDERS_KAFKA_TOPIC"], partitions)
    finally:
        client.close()


class Committed:
    """How many messages of the topic the group has dealt with."""

    def __init__(self, client: Consumer, topic: str, partitions: int) -> None:
        self._client = client
        self._asked = [TopicPartition(topic, number) for number in range(partitions)]

    def each(self) -> list[int]:
        """In each partition."""
        try:
            found = self._client.committed(self._asked, 5.0)
        except KafkaException:  # who looks after the group is not chosen yet
            return [0] * len(self._asked)
        return [max(0, place.offset) for place in found]
