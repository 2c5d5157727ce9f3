"""The topics themselves: made where they are missing, and how large a message they take."""

from collections.abc import Mapping

import structlog
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from msgspec import Struct
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from orders.adapters.kafka.client.settings import KafkaSettings, client_options

DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
"""What a broker takes unless it is told otherwise."""

_REQUEST_TIMEOUT_MS = 10_000
_ENOUGH_REPLICAS = 3
_MAX_MESSAGE_BYTES = "max.message.bytes"

_log = structlog.get_logger(__name__)


class TopicLimits(Struct, frozen=True):
    """The largest record batch, in bytes as stored, that each topic takes."""

    source: int = DEFAULT_MAX_MESSAGE_BYTES
    dead_letters: int = 2 * DEFAULT_MAX_MESSAGE_BYTES


class TopicAdmin:
    """Sees to it that both topics exist. Blocking: for threads, not for an event loop."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def ensure(self) -> TopicLimits:
        """Create what is missing; doing it again, or several at once, is safe.

        Without the right to create or to look, it goes on if the topics exist.

        Raises:
            KafkaError: no broker answers, or a topic is missing and cannot be made.
        """
        admin = KafkaAdminClient(
            **client_options(self._settings), request_timeout_ms=_REQUEST_TIMEOUT_MS
        )
        try:
            return self._ensure(admin)
        finally:
            admin.close()

    def ensure_replays(self) -> None:
        """Create the journal of replays if it is missing: the latest of each key, for ever.

        Raises:
            KafkaError: no broker answers, or it is missing and cannot be made.
        """
        admin = KafkaAdminClient(
            **client_options(self._settings), request_timeout_ms=_REQUEST_TIMEOUT_MS
        )
        try:
            name = self._settings.replays_topic
            self._create(admin, name, {"cleanup.policy": "compact"}, partitions=1)
        finally:
            admin.close()

    def _ensure(self, admin: KafkaAdminClient) -> TopicLimits:
        source, letters = self._settings.topic, self._settings.dlq_topic
        self._create(admin, source, {})
        source_limit = _limit(admin, source, DEFAULT_MAX_MESSAGE_BYTES)
        # Whatever the brokers' defaults are: a dead letter stays until somebody removes it, and
        # a message of the largest size fits with the headers that are added.
        keep_all = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
        wanted = 2 * source_limit
        self._create(admin, letters, keep_all | {_MAX_MESSAGE_BYTES: str(wanted)})
        letters_limit = _limit(admin, letters, wanted)
        if letters_limit < wanted:
            _log.warning(
                "topic of dead letters takes too little",
                topic=letters,
                max_message_bytes=letters_limit,
                advice=f"set its {_MAX_MESSAGE_BYTES} to {wanted}",
            )
        return TopicLimits(source_limit, letters_limit)

    def _create(
        self,
        admin: KafkaAdminClient,
        name: str,
        config: Mapping[str, str],
        partitions: int | None = None,
    ) -> None:
        if _exists(admin, name):
            return
        amount = partitions or self._settings.partitions
        replication = self._settings.replication
        # With fewer replicas, one broker that is down would hold up all that is acknowledged.
        safety = {"min.insync.replicas": "2"} if replication >= _ENOUGH_REPLICAS else {}
        topic = NewTopic(name, amount, replication, topic_configs={**safety, **config})
        try:
            admin.create_topics([topic], timeout_ms=_REQUEST_TIMEOUT_MS)
        except TopicAlreadyExistsError:
            return  # somebody else was faster
        _log.info("topic created", topic=name, partitions=amount)


def _exists(admin: KafkaAdminClient, name: str) -> bool:
    [topic] = admin.describe_topics([name])
    error = for_code(topic["error_code"])
    if error is UnknownTopicOrPartitionError:
        return False
    if topic["error_code"]:
        raise error(name)
    return True


def _limit(admin: KafkaAdminClient, name: str, default: int) -> int:
    """The topic's limit, its own or the broker's; ``default`` where we may not know."""
    try:
        return _described_limit(admin, name)
    except KafkaError as error:
        _log.warning("size limit of topic unknown", topic=name, error=type(error).__name__)
        return default


@retry(  # a topic that was made just now is not known to every broker yet
    retry=retry_if_exception_type(UnknownTopicOrPartitionError),
    stop=stop_after_delay(5),
    wait=wait_fixed(0.1),
    reraise=True,
)
def _described_limit(admin: KafkaAdminClient, name: str) -> int:
    wanted = ConfigResource(ConfigResourceType.TOPIC, name, {_MAX_MESSAGE_BYTES: ""})
    [response] = admin.describe_configs([wanted])
    [(error_code, _message, _type, _name, entries)] = response.resources
    if error_code:
        raise for_code(error_code)(name)
    [entry] = entries
    return int(entry[1])
