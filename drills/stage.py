"""Where a drill takes place: servers, a database, topics and a group of its own, and traffic."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import psycopg

from drills import group_offsets
from drills.audit import Tally, audit
from drills.consumers import Consumers
from drills.expectations import Ledger
from drills.servers import Servers
from drills.stored import read_orders
from drills.topics import OFFSETS_TOPIC, Topics
from drills.traffic import Traffic
from drills.waiting import wait_until

SESSION_SECONDS = 6.0
"""The session timeout of our consumers."""
SETTLE_SECONDS = SESSION_SECONDS + 30.0
"""Within which nothing is left to do, once everything is up again."""


class Stage:
    """What a drill works with.

    Attributes:
        servers: to be harmed; what is down at the end of the drill is brought up for it.
        consumers: the processes; the drill starts them.
        traffic: what is sent, with what is expected of it.
        topics: looks at the broker.
        partitions: of each topic, unless the drill makes them itself.
        rng: all chance comes from here, so that a seed repeats the drill.
        long: whether there is time: ``make drill`` and not ``make test``.
        say: shows progress.
        closing: what the drill opens and its consumers need until they are stopped.
    """

    def __init__(
        self,
        servers: Servers,
        folder: Path,
        rng: Random,
        *,
        long: bool,
        partitions: int,
        say: Callable[[str], None],
    ) -> None:
        self.partitions = partitions
        unique = uuid.uuid4().hex[:8]
        self.servers, self.folder, self.rng, self.long, self.say = servers, folder, rng, long, say
        folder.mkdir(parents=True, exist_ok=True)
        self.topic, self.dlq_topic = f"orders-{unique}", f"orders-{unique}.dlq"
        self.group, self.cache_prefix = f"group-{unique}", f"drill-{unique}"
        servers.heal()
        self.dsn = servers.create_database()
        replication = min(3, len(servers.brokers))
        self.consumers = Consumers(
            {
                "ORDERS_POSTGRES_DSN": self.dsn,
                "ORDERS_REDIS_URL": servers.redis_url,
                "ORDERS_CACHE_PREFIX": self.cache_prefix,
                "ORDERS_KAFKA_BOOTSTRAP": servers.bootstrap,
                "ORDERS_KAFKA_TOPIC": self.topic,
                "ORDERS_KAFKA_DLQ_TOPIC": self.dlq_topic,
                "ORDERS_KAFKA_GROUP": self.group,
                "ORDERS_KAFKA_PARTITIONS": str(partitions),
                "ORDERS_KAFKA_REPLICATION": str(replication),
                "ORDERS_LOG_FORMAT": "json",
            },
            folder,
        )
        self.topics = Topics(servers.bootstrap, self.group, say)
        self.ledger = Ledger()
        self.closing = ExitStack()
        self._ordered: list[group_offsets.Commit] = []
        self.traffic = Traffic(servers.bootstrap, self.topic, self.ledger, rng)

    def wait_for_topics(self) -> None:
        """Wait until a consumer has made the topics."""
        wait_until(lambda: self.topics.partitions(self.dlq_topic), 60, "the topics are made")

    def stored(self) -> int:
        """How many orders the database holds now."""
        with psycopg.connect(self.dsn) as connection:
            [(amount,)] = connection.execute("SELECT count(*) FROM orders")
            return int(amount)

    def is_stored(self, order_uid: str) -> bool:
        """Whether the database holds this order."""
        with psycopg.connect(self.dsn) as connection:
            query = "SELECT 1 FROM orders WHERE order_uid = %s"
            return connection.execute(query, [order_uid]).fetchone() is not None

    def wait_for_stored(self, amount: int, seconds: float) -> None:
        """Wait until the database holds at least so many orders."""
        wait_until(lambda: self.stored() >= amount, seconds, f"{amount} orders are stored")

    def wait_for_lag(self, seconds: float, lag: int = 0) -> None:
        """Wait until the group has committed all but ``lag`` records."""
        wait_until(
            lambda: self.topics.is_up_to_date(self.topic, lag),
            seconds,
            f"the lag is {lag}",
            pause=0.2,
        )

    def chance(self, least: float, most: float) -> float:
        """A number between the two, from the seed; of seconds, for example."""
        return self.rng.uniform(least, most)

    @contextmanager
    def timed(self, most: float, what: str) -> Iterator[None]:
        """Assert that the block takes no longer than ``most`` seconds."""
        started = time.monotonic()
        yield
        took = time.monotonic() - started
        assert took <= most, f"{what} took {took:.1f} s, and may take {most:g} s"

    def settle(self) -> None:
        """Have everything up, wait until there is nothing left to do, and stop the consumers.

        Raises:
            AssertionError: it did not come to rest in time, or a consumer did not stop in order.
        """
        self.say("everything up again; waiting until nothing is left to do")
        self.servers.heal()
        deadline = time.monotonic() + SETTLE_SECONDS
        self.traffic.flush()
        if not self.consumers.running:
            self.consumers.start("last")
        self.wait_for_lag(deadline - time.monotonic())
        self.consumers.stop_all()

    def audit(self) -> Tally:
        """Count what became of all that was sent."""
        return audit(
            self.topics.read_all(self.topic),
            self.topics.read_all(self.dlq_topic),
            read_orders(self.dsn),
            self.topics.committed(self.topic),
            self.ledger,
        )

    def moved_back(self) -> list[str]:
        """Commits that moved an offset back: a consumer committed a revoked partition."""
        notes = group_offsets.commits(self.topics.read_all(OFFSETS_TOPIC))
        ours = [note for note in notes if (note.group, note.topic) == (self.group, self.topic)]
        return group_offsets.moved_back(ours, self._ordered)

    def set_offset(self, partition: int, offset: int) -> None:
        """What an operator does to have the group go on elsewhere; it must have no members."""
        self._ordered.append(group_offsets.Commit(self.group, self.topic, partition, offset))
        self.topics.set_committed(self.topic, partition, offset)

    def close(self) -> None:
        """End what still runs, and drop the database."""
        self.consumers.close()
        self.closing.close()
        self.topics.close()
        self.servers.heal()
        self.servers.drop_database(self.dsn)
