"""The broker as others see it: through librdkafka."""

from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as TheirMessage
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from orders.domain.intake.messages import Message, Origin
from tests.waiting import wait_until

TIMEOUT = 15.0


def _passes(error: BaseException) -> bool:
    """Whether this comes from a broker that has just started, or does not know a new topic yet."""
    return isinstance(error, KafkaException) and error.args[0].code() in {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }


_once_settled = retry(
    retry=retry_if_exception(_passes),
    stop=stop_after_delay(TIMEOUT),
    wait=wait_fixed(0.05),
    reraise=True,
)


class OtherClient:
    """Blocking; everything has a deadline."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer = self.producer()
        self._admin = AdminClient({"bootstrap.servers": bootstrap})

    def close(self) -> None:
        self._producer.flush(TIMEOUT)

    def producer(self, **options: Any) -> Producer:
        """A producer of its own; underscores in the names of options stand for dots."""
        named = {name.replace("_", "."): value for name, value in options.items()}
        # By default, keyless messages of 10 ms all go to one partition.
        usual = {"linger.ms": 2, "sticky.partitioning.linger.ms": 0}
        return Producer({"bootstrap.servers": self._bootstrap} | usual | named)

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        *,
        headers: Sequence[tuple[str, bytes | None]] = (),
        timestamp: int | None = None,
        producer: Producer | None = None,
        **to: Any,
    ) -> tuple[int, int]:
        """Send one message; its partition and offset."""
        places: list[tuple[int, int]] = []

        def delivered(error: KafkaError | None, message: TheirMessage) -> None:
            assert error is None, error
            places.append((message.partition() or 0, message.offset() or 0))

        used = producer or self._producer
        used.produce(
            topic,
            value,
            key,
            headers=list(headers),
            timestamp=timestamp or 0,
            on_delivery=delivered,
            **to,
        )
        assert used.flush(TIMEOUT) == 0
        return places[0]

    def send_many(
        self, topic: str, values: Sequence[bytes], producer: Producer | None = None, **to: Any
    ) -> None:
        """Send messages without keys, over all partitions or to the one that is given."""
        used = producer or self._producer
        for number, value in enumerate(values):
            used.produce(topic, value, **to)
            if number % 1_000 == 0:
                used.poll(0)
        assert used.flush(TIMEOUT) == 0

    def read_all(self, topic: str) -> list[Message]:
        """All that the topic holds now, in order within each partition."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "unused",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        try:
            known = consumer.list_topics(topic, TIMEOUT).topics[topic].partitions

            def offsets() -> dict[int, int] | None:
                try:
                    return {
                        number: consumer.get_watermark_offsets(
                            TopicPartition(topic, number), TIMEOUT
                        )[1]
                        for number in known
                    }
                except KafkaException:  # the topic is new, and its leaders are not yet
                    return None

            ends = wait_until(offsets, TIMEOUT, "all partitions have leaders")
            consumer.assign([TopicPartition(topic, number, 0) for number in known])
            found = []
            for expected in range(sum(ends.values())):
                message = consumer.poll(TIMEOUT)
                assert message is not None, f"only {expected} messages came"
                assert message.error() is None
                found.append(_ours(message))
            return found
        finally:
            consumer.close()

    def read_offsets(self, topic: str) -> list[int]:
        """The offsets that partition 0 still holds, of a topic from which records vanish."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "unused",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        try:
            consumer.assign([TopicPartition(topic, 0, 0)])
            found: list[int] = []
            while True:
                message = consumer.poll(TIMEOUT)
                assert message is not None
                if message.error() is not None:
                    return found
                found.append(message.offset() or 0)
        finally:
            consumer.close()

    @_once_settled
    def committed(self, group: str, topic: str, partitions: int) -> list[int]:
        """The group's committed offset of each partition; a negative number where there is none."""
        consumer = Consumer({"bootstrap.servers": self._bootstrap, "group.id": group})
        try:
            asked = [TopicPartition(topic, number) for number in range(partitions)]
            return [found.offset for found in consumer.committed(asked, TIMEOUT)]
        finally:
            consumer.close()

    @_once_settled
    def config(self, topic: str) -> dict[str, str]:
        """The topic's effective configuration."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        [future] = self._admin.describe_configs([resource]).values()
        return {name: entry.value for name, entry in future.result(TIMEOUT).items()}

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; 0 if there is no such topic."""
        found = self._admin.list_topics(timeout=TIMEOUT).topics.get(topic)
        return len(found.partitions) if found else 0

    def members(self, group: str) -> list[int]:
        """How many partitions each member of the group has, the fewest first."""
        [future] = self._admin.describe_consumer_groups([group]).values()
        members = future.result(TIMEOUT).members
        return sorted(len(member.assignment.topic_partitions) for member in members)

    def create(
        self,
        topic: str,
        partitions: int = 1,
        replicas: Sequence[Sequence[int]] = (),
        **config: str,
    ) -> None:
        """Make a topic; underscores in the names of its configuration stand for dots.

        ``replicas`` names the brokers of each partition; without it, any one has it.
        """
        named = {name.replace("_", "."): value for name, value in config.items()}
        where: dict[str, Any] = {"num_partitions": partitions, "replication_factor": 1}
        if replicas:
            where = {"num_partitions": len(replicas), "replica_assignment": replicas}
        new = NewTopic(topic, config=named, **where)
        [future] = self._admin.create_topics([new]).values()
        future.result(TIMEOUT)


def _ours(message: TheirMessage) -> Message:
    place: Any = (message.topic(), message.partition(), message.offset())
    headers: Any = message.headers() or ()
    key: Any = message.key()
    value: Any = message.value()
    return Message(Origin(*place), value, key, message.timestamp()[1], tuple(headers))
