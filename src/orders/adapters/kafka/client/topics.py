"""Creates missing topics, and reads how large a message they accept."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

import structlog
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import (
    InvalidConfigurationError,
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from msgspec import Struct
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from orders.adapters.kafka.client.internals import BoundedAdmin
from orders.adapters.kafka.client.settings import KafkaSettings, admin_client

DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
"""The brokers' default."""

ANY_TIMESTAMP = {
    "message.timestamp.before.max.ms": str(2**63 - 1),
    "message.timestamp.after.max.ms": str(2**63 - 1),
}
"""Kafka 4 refuses by default what is dated more than an hour ahead. Brokers before 3.6 do not know
these names."""

_REQUEST_TIMEOUT_MS = 10_000
_ENOUGH_REPLICAS = 3
_MAX_MESSAGE_BYTES = "max.message.bytes"

_log = structlog.get_logger(__name__)


class TopicLimits(Struct, frozen=True):
    """The largest record batch that each topic accepts, in bytes as stored."""

    source: int = DEFAULT_MAX_MESSAGE_BYTES
    dead_letters: int = 2 * DEFAULT_MAX_MESSAGE_BYTES

    @property
    def are_suitable(self) -> bool:
        """Whether any message fits with the headers of its dead letter, packed as it was sent."""
        return self.dead_letters >= 2 * self.source


class TopicAdmin:
    """Creates topics. Blocking: for threads, not for an event loop."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def ensure(self) -> TopicLimits:
        """Create the missing ones of both topics; idempotent and safe to run concurrently.

        If the topics exist, it needs no permission to create or to describe their configuration.

        Raises:
            KafkaError: no broker answers, or a missing topic cannot be created.
        """
        with self._admin() as admin:
            return self._ensure(admin)

    def ensure_source(self) -> TopicLimits:
        """The same for the topic of orders alone; needs no right on that of dead letters."""
        with self._admin() as admin:
            return TopicLimits(source=self._ensure_source(admin))

    def ensure_replays(self) -> None:
        """Create the compacted topic of the replay journal if it is missing.

        Raises:
            KafkaError: no broker answers, or it is missing and cannot be created.
        """
        with self._admin() as admin:
            name = self._settings.replays_topic
            self._create(admin, name, {"cleanup.policy": "compact"}, partitions=1)

    def _admin(self) -> AbstractContextManager[BoundedAdmin]:
        return admin_client(self._settings, request_timeout_ms=_REQUEST_TIMEOUT_MS)

    def _ensure_source(self, admin: BoundedAdmin) -> int:
        # Retention goes by timestamps: with those of senders, old ones would be deleted unread.
        self._create(admin, self._settings.topic, {"message.timestamp.type": "LogAppendTime"})
        return _limit(admin, self._settings.topic, DEFAULT_MAX_MESSAGE_BYTES)

    def _ensure(self, admin: BoundedAdmin) -> TopicLimits:
        dead_letters = self._settings.dlq_topic
        source_limit = self._ensure_source(admin)
        # Whatever the brokers' defaults are, a dead letter stays as long as the operator wants, may
        # have any timestamp, and even the largest message fits with the headers that are added.
        keep_all = {
            "cleanup.policy": "delete",
            "retention.ms": str(self._settings.dlq_retention_ms),
            "retention.bytes": "-1",
        }
        wanted = 2 * source_limit
        config = keep_all | {
            _MAX_MESSAGE_BYTES: str(wanted),
            "message.timestamp.type": "CreateTime",
        }
        try:
            self._create(admin, dead_letters, config | ANY_TIMESTAMP)
        except InvalidConfigurationError:
            self._create(admin, dead_letters, config)
        limits = TopicLimits(source_limit, _limit(admin, dead_letters, wanted))
        if not limits.are_suitable:
            _log.warning(
                "topic of dead letters takes too little",
                topic=dead_letters,
                max_message_bytes=limits.dead_letters,
                advice=f"set its {_MAX_MESSAGE_BYTES} to {wanted}",
            )
        return limits

    def _create(
        self,
        admin: BoundedAdmin,
        name: str,
        config: Mapping[str, str],
        partitions: int | None = None,
    ) -> None:
        if admin.described_topic(name) is not None:
            return
        amount = partitions or self._settings.partitions
        replication = self._settings.replication
        # With fewer replicas, one broker that is down would block every acknowledgement.
        safety = {"min.insync.replicas": "2"} if replication >= _ENOUGH_REPLICAS else {}
        topic = NewTopic(name, amount, replication, topic_configs={**safety, **config})
        try:
            admin.create_topics([topic], timeout_ms=_REQUEST_TIMEOUT_MS)
        except TopicAlreadyExistsError:
            return  # another process was faster
        _log.info("topic created", topic=name, partitions=amount)


def _limit(admin: BoundedAdmin, name: str, default: int) -> int:
    """The topic's limit, its own or the broker's; ``default`` if it cannot be described."""
    try:
        return _described_limit(admin, name)
    except KafkaError as error:
        _log.warning("size limit of topic unknown", topic=name, error=type(error).__name__)
        return default


@retry(  # not every broker knows a new topic at once
    retry=retry_if_exception_type(UnknownTopicOrPartitionError),
    stop=stop_after_delay(5),
    wait=wait_fixed(0.1),
    reraise=True,
)
def _described_limit(admin: BoundedAdmin, name: str) -> int:
    wanted = ConfigResource(ConfigResourceType.TOPIC, name, {_MAX_MESSAGE_BYTES: ""})
    [response] = admin.describe_configs([wanted])
    [(error_code, _message, _type, _name, entries)] = response.resources
    if error_code:
        raise for_code(error_code)(name)
    [entry] = entries
    return int(entry[1])
