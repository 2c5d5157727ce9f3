"""Describes the cluster: brokers, both topics and the consumer group. Blocking: for threads."""

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, TypeVar

from kafka import KafkaConsumer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    InvalidTopicError,
    KafkaError,
    NodeNotReadyError,
    NotCoordinatorForGroupError,
    TopicAuthorizationFailedError,
    for_code,
)
from kafka.structs import GroupInformation, TopicPartition
from msgspec import Struct
from msgspec.structs import replace
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from orders.adapters.kafka.client.failures import NotConnectedError, describe_failure
from orders.adapters.kafka.client.gaps import Gap, gap_in
from orders.adapters.kafka.client.internals import BoundedAdmin
from orders.adapters.kafka.client.settings import KafkaSettings, admin_client, client_options
from orders.tcp_probe import probe_tcp

T = TypeVar("T")

_SETTING = "ORDERS_KAFKA_BOOTSTRAP"
_PROBE_SECONDS = 1.0
_REQUEST_TIMEOUT_MS = 2_000
_RETRY_SECONDS = 1.5
_CONFIGS = (
    "cleanup.policy",
    "max.message.bytes",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.difference.max.ms",
    "message.timestamp.type",
    "min.insync.replicas",
    "retention.bytes",
    "retention.ms",
    "unclean.leader.election.enable",
)

_OFFSETS_OPTIONS: dict[str, Any] = {
    "group_id": None,
    "enable_auto_commit": False,
    "request_timeout_ms": _REQUEST_TIMEOUT_MS,
    "session_timeout_ms": _REQUEST_TIMEOUT_MS // 2,
    "heartbeat_interval_ms": _REQUEST_TIMEOUT_MS // 4,
}


class UnreachableError(Exception):
    """No broker answers as expected; ``advice`` says what to do."""

    def __init__(self, text: str, advice: str) -> None:
        super().__init__(text)
        self.advice = advice


class PartitionView(Struct, frozen=True):
    """One partition: its replicas and its offsets.

    ``committed`` is the group's offset, None if it has committed none. ``gap`` is what it noted
    beside it.
    """

    replicas: int
    in_sync: int
    has_leader: bool
    start: int = 0
    end: int = 0
    committed: int | None = None
    gap: Gap | None = None


class TopicView(Struct, frozen=True):
    """A topic. ``config`` is empty if the brokers deny access to it."""

    name: str
    partitions: Mapping[int, PartitionView]
    config: Mapping[str, str]
    has_offsets: bool = False


class ClusterView(Struct, frozen=True):
    """The cluster. ``denied`` lists the rights that are missing, and what fails to be described.

    A topic is None if it is missing or denied, ``members`` is None if the group is denied.
    ``assignor`` is the one that the members agree on. The brokers do not describe the members of a
    group of the new protocol. ``bad_names`` are names of topics that Kafka refuses.
    """

    settings: KafkaSettings
    brokers: int
    source: TopicView | None
    dead_letters: TopicView | None
    group_state: str
    members: int | None
    denied: tuple[str, ...] = ()
    assignor: str = ""
    is_new_protocol: bool = False
    bad_names: tuple[str, ...] = ()


def describe_cluster(settings: KafkaSettings) -> ClusterView:
    """Describe the cluster.

    Raises:
        UnreachableError: no broker answers.
    """
    _probe_tcp(settings)
    try:
        return _retry(KafkaError, lambda: _describe(settings))
    except (KafkaError, OSError, AssertionError) as error:
        failure = describe_failure(error)
        if isinstance(error, NotConnectedError) and error.advertised:
            raise UnreachableError(
                f"the brokers advertise {error.advertised} to clients, and {failure.reason}",
                "correct the brokers' advertised.listeners, or the network between here and there",
            ) from error
        raise UnreachableError(
            f"accepts connections, but {failure.reason}", failure.advice
        ) from error


def _describe(settings: KafkaSettings) -> ClusterView:
    with admin_client(settings, request_timeout_ms=_REQUEST_TIMEOUT_MS) as admin:
        return _Description(settings, admin).view()


def _retry(error: type[Exception] | tuple[type[Exception], ...], ask: Callable[[], T]) -> T:
    """Call ``ask``, and retry for a short time: leaders and coordinators may be moving."""
    retrying = Retrying(
        retry=retry_if_exception_type(error),
        stop=stop_after_delay(_RETRY_SECONDS),
        wait=wait_fixed(0.2),
        reraise=True,
    )
    return retrying(ask)


def _probe_tcp(settings: KafkaSettings) -> None:
    """Return if one of the bootstrap addresses accepts a connection."""
    failures = []
    for server in client_options(settings)["bootstrap_servers"]:
        host, _, port = server.rpartition(":")
        failure = probe_tcp(host, port, _PROBE_SECONDS, _SETTING)
        if failure is None:
            return
        failures.append(failure)
    raise UnreachableError("; ".join(f.reason for f in failures), failures[0].advice)


class _Description:
    """Describes the cluster through one admin client, and collects what the brokers deny."""

    def __init__(self, settings: KafkaSettings, admin: BoundedAdmin) -> None:
        self._settings = settings
        self._admin = admin
        self._denied: list[str] = []
        self._bad_names: list[str] = []

    def view(self) -> ClusterView:
        names = (self._settings.topic, self._settings.dlq_topic)
        topics = {name: self._partitions(name) for name in names}
        source, dead_letters = (self._topic(name, topics[name]) for name in names)
        group = self._group()
        if source:
            source = self._with_offsets(source)
        brokers = len(self._admin.describe_cluster()["brokers"])
        return ClusterView(
            self._settings,
            brokers,
            source,
            dead_letters,
            group.state if group else "",
            len(group.members) if group else None,
            tuple(self._denied),
            group.protocol if group else "",
            is_new_protocol=bool(group and group.state == "Dead" and self._is_listed(group.group)),
            bad_names=tuple(self._bad_names),
        )

    def _partitions(self, name: str) -> dict[int, PartitionView] | None:
        try:
            found = self._admin.described_topic(name)
        except TopicAuthorizationFailedError as error:
            self._note_denied("DESCRIBE", f"topic {name}", type(error))
            return None
        except InvalidTopicError:
            self._bad_names.append(name)
            return None
        if found is None:
            return None
        return {
            part["partition"]: PartitionView(
                len(part["replicas"]), len(part["isr"]), has_leader=part["leader"] >= 0
            )
            for part in found["partitions"]
        }

    def _topic(self, name: str, partitions: dict[int, PartitionView] | None) -> TopicView | None:
        if partitions is None:
            return None
        wanted = ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(_CONFIGS, ""))
        [response] = self._admin.describe_configs([wanted])
        [(error_code, _message, _type, _name, entries)] = response.resources
        if error_code:
            self._note_denied("DESCRIBE_CONFIGS", f"topic {name}", for_code(error_code))
            return TopicView(name, partitions, {})
        return TopicView(name, partitions, {entry[0]: entry[1] for entry in entries})

    def _group(self) -> GroupInformation | None:
        name = self._settings.group
        try:
            [group] = self._of_group(lambda: self._admin.describe_consumer_groups([name]))
        except KafkaError as error:
            self._note_denied("DESCRIBE", f"group {name}", type(error))
            return None
        return group

    def _is_listed(self, group: str) -> bool:
        """Whether a group that is described as dead exists, and so is of the new protocol."""
        try:
            listed = self._of_group(self._admin.list_consumer_groups)
        except KafkaError:
            return False
        return any(name == group for name, _ in listed)

    def _with_offsets(self, topic: TopicView) -> TopicView:
        keys = {number: TopicPartition(topic.name, number) for number in topic.partitions}
        led = [keys[n] for n, partition in topic.partitions.items() if partition.has_leader]
        options = client_options(self._settings) | _OFFSETS_OPTIONS
        try:
            with closing(KafkaConsumer(**options)) as consumer:
                starts, ends = consumer.beginning_offsets(led), consumer.end_offsets(led)
            committed = self._of_group(
                lambda: self._admin.list_consumer_group_offsets(
                    self._settings.group, partitions=list(keys.values())
                )
            )
        except GroupAuthorizationFailedError:
            return topic  # said of the group already
        except KafkaError as error:
            self._note_denied("DESCRIBE", f"the offsets of {topic.name}", type(error))
            return topic
        known = {key: found for key, found in committed.items() if found.offset >= 0}
        offsets = {key: found.offset for key, found in known.items()}
        now = datetime.now(UTC)
        gaps = {key: gap_in(found.metadata, now) for key, found in known.items()}
        partitions = {
            number: replace(
                partition,
                start=starts.get(keys[number], 0),
                end=ends.get(keys[number], 0),
                committed=offsets.get(keys[number]),
                gap=gaps.get(keys[number]),
            )
            for number, partition in topic.partitions.items()
        }
        return replace(topic, partitions=partitions, has_offsets=True)

    def _note_denied(self, right: str, what: str, error: type[KafkaError]) -> None:
        is_right = issubclass(error, (TopicAuthorizationFailedError, GroupAuthorizationFailedError))
        self._denied.append(f"{right} on {what}" if is_right else f"{what} ({error.__name__})")

    @staticmethod
    def _of_group(ask: Callable[[], T]) -> T:
        # A new cluster has no group coordinator until a client asks for one, and when a broker dies
        # its coordinators move to others.
        return _retry(
            (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError, NodeNotReadyError), ask
        )
