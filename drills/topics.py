"""What the brokers hold, read by a client that is not ours."""

from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import (
    Consumer,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConsumerGroupDescription,
    NewTopic,
)

from drills.waiting import wait_until

TIMEOUT = 20.0
QUERY_TIMEOUT = 5.0
OFFSETS_TOPIC = "__consumer_offsets"


class Topics:
    """Looks at topics and at the group's offsets; every call has a deadline."""

    def __init__(self, bootstrap: str, group: str, say: Callable[[str], None]) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._say = say
        self._client = Consumer(self._options(group))
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def close(self) -> None:
        """Let go of the brokers."""
        self._client.close()

    def _renew(self) -> None:
        self._client.close()
        self._client = Consumer(self._options(self._group))

    def create(self, topic: str, partitions: int, replication: int = 1, **config: str) -> None:
        """Make a topic, and wait until each partition's leader answers.

        Underscores in the names of the configuration stand for dots. Wait, because a leader may
        refuse the first request of an idempotent producer and accept the second one: librdkafka
        then takes the first for written and reports messages delivered that no broker has.
        """
        named = {name.replace("_", "."): value for name, value in config.items()}
        new = NewTopic(topic, partitions, replication, config=named)
        [future] = self._admin.create_topics([new], request_timeout=TIMEOUT).values()
        future.result(TIMEOUT)

        def has_leaders() -> bool:
            try:
                return len(self.ends(topic)) == partitions
            except KafkaException:
                return False

        wait_until(has_leaders, TIMEOUT, f"the partitions of {topic} have leaders")

    def partitions(self, topic: str) -> int:
        """How many partitions it has; 0 if there is no such topic."""
        found = self._admin.list_topics(timeout=TIMEOUT).topics.get(topic)
        return len(found.partitions) if found else 0

    def ends(self, topic: str) -> list[int]:
        """The offset of the next record of each partition."""
        return [
            int(self._client.get_watermark_offsets(TopicPartition(topic, number), QUERY_TIMEOUT)[1])
            for number in range(self.partitions(topic))
        ]

    def committed(self, topic: str) -> list[int]:
        """The group's committed offset of each partition, 0 where there is none."""
        asked = [TopicPartition(topic, number) for number in range(self.partitions(topic))]

        def answer() -> list[TopicPartition] | None:
            try:
                return self._client.committed(asked, QUERY_TIMEOUT)
            except KafkaException:  # who looks after the group changes where brokers come and go
                return None

        found = (
            wait_until(answer, TIMEOUT, "the brokers return the group's offsets") if asked else []
        )
        return [max(0, each.offset) for each in found or ()]

    def lag(self, topic: str) -> int:
        """How many records the group has not dealt with."""
        return sum(self.ends(topic)) - sum(self.committed(topic))

    def is_up_to_date(self, topic: str, lag: int = 0) -> bool:
        """Whether all but ``lag`` records are processed; False while the brokers cannot say."""
        try:
            return self.partitions(topic) > 0 and self.lag(topic) <= lag
        except (KafkaException, AssertionError) as error:
            # Not for ever because of one connection that a frozen broker has left behind.
            self._say(f"the brokers do not return the lag: {error}")
            self._renew()
            return False

    def set_committed(self, topic: str, partition: int, offset: int) -> None:
        """Set the group's offset, once the brokers let us; not while the group has members."""
        place = TopicPartition(topic, partition, offset)

        def is_set() -> bool:
            try:
                self._client.commit(offsets=[place], asynchronous=False)
            except KafkaException as error:
                self._say(f"the offset is not set: {error}")
                self._renew()
                return False
            return self.committed(topic)[partition] == offset

        wait_until(is_set, 3 * TIMEOUT, "the group's offset is set", pause=0.2)

    def leader(self, topic: str, partition: int) -> int:
        """The id of the broker that leads this partition."""
        found = self._admin.list_topics(topic, timeout=TIMEOUT).topics[topic]
        return int(found.partitions[partition].leader)

    def in_sync(self, topic: str) -> list[int]:
        """How many copies of each partition are up to date."""
        found = self._admin.list_topics(topic, timeout=TIMEOUT).topics[topic]
        return [len(partition.isrs) for partition in found.partitions.values()]

    def coordinator(self) -> int:
        """The id of the broker that looks after the group.

        By the leader of the group's partition: while brokers die, librdkafka's own way to ask may
        end the whole process by an assertion.
        """
        number = _java_hash(self._group) % self.partitions(OFFSETS_TOPIC)
        return self.leader(OFFSETS_TOPIC, number)

    def delete(self, topic: str) -> None:
        """Remove the topic with all that it holds."""
        [future] = self._admin.delete_topics([topic], request_timeout=TIMEOUT).values()
        future.result(TIMEOUT)

    def members(self) -> int:
        """How many members the group has."""
        return len(self.member_ids())

    def member_ids(self) -> set[str]:
        """The ids of the group's members; one that rejoins gets a new id."""
        return {member.member_id for member in self._described().members}

    def assigned(self) -> list[int]:
        """How many partitions each member of the group has, the fewest first."""
        members = self._described().members
        return sorted(len(member.assignment.topic_partitions) for member in members)

    def read_all(self, topic: str) -> Iterator[Message]:
        """All that the topic holds now; records of aborted transactions as well."""
        reader = Consumer(
            self._options("nobody")
            | {"isolation.level": "read_uncommitted", "enable.partition.eof": True}
        )
        try:
            partitions = range(self.partitions(topic))
            reader.assign([TopicPartition(topic, number, 0) for number in partitions])
            at_end = 0
            while at_end < len(partitions):
                message = reader.poll(TIMEOUT)
                assert message is not None, f"{topic} could not be read to its end"
                error = message.error()
                if error is None:
                    yield message
                elif error.name() == "_PARTITION_EOF":
                    at_end += 1
                else:
                    raise KafkaException(error)
        finally:
            reader.close()

    def _described(self) -> ConsumerGroupDescription:
        """The group, once somebody looks after it."""

        def answer() -> ConsumerGroupDescription | None:
            try:
                asked = self._admin.describe_consumer_groups([self._group])
                described: ConsumerGroupDescription = asked[self._group].result(TIMEOUT)
            except (KafkaException, TimeoutError):
                return None
            return described

        found = wait_until(answer, 2 * TIMEOUT, "the brokers describe the group")
        assert found is not None
        return found

    def _options(self, group: str) -> dict[str, Any]:
        return {
            "bootstrap.servers": self._bootstrap,
            "log_level": 0,  # that a broker is down is what drills are about
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # It also bounds what a batch may unpack to, which librdkafka triples until it fits.
            "receive.message.max.bytes": 1_000_000_000,
        }


def _java_hash(text: str) -> int:
    """Of an ASCII text, as Java does it, without the sign."""
    found = 0
    for character in text.encode("ascii"):
        found = (31 * found + character) & 0xFFFFFFFF
    return found & 0x7FFFFFFF
