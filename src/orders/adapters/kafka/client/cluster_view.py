"""What the brokers say of themselves, of both topics and of the group. Blocking: for threads."""

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, TypeVar

from kafka import KafkaConsumer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaConfigurationError,
    KafkaError,
    NodeNotReadyError,
    NotCoordinatorForGroupError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from kafka.structs import TopicPartition
from msgspec import Struct
from msgspec.structs import replace
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from orders.adapters.kafka.client.settings import KafkaSettings, client_options

T = TypeVar("T")

_PROBE_SECONDS = 1.0
_CONNECT_SECONDS = 1.0
_REQUEST_TIMEOUT_MS = 2_000
_RETRY_SECONDS = 1.5
_CONFIGS = (
    "cleanup.policy",
    "max.message.bytes",
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
    """No broker answers as one; ``advice`` says what to do."""

    def __init__(self, text: str, advice: str) -> None:
        super().__init__(text)
        self.advice = advice


class PartitionView(Struct, frozen=True):
    """One partition: how many copies there are to be, how many there are, and the offsets.

    ``committed`` is the group's; None where it has committed nothing.
    """

    copies: int
    in_sync: int
    has_leader: bool
    start: int = 0
    end: int = 0
    committed: int | None = None


class TopicView(Struct, frozen=True):
    """A topic. ``config`` is empty where the brokers deny it."""

    name: str
    partitions: Mapping[int, PartitionView]
    config: Mapping[str, str]
    has_offsets: bool = False


class ClusterView(Struct, frozen=True):
    """All of it. ``denied`` names what the brokers deny, and their error.

    ``source`` and ``dead_letters`` are None where the topic is missing or denied, ``members``
    where the group is denied.
    """

    settings: KafkaSettings
    brokers: int
    source: TopicView | None
    dead_letters: TopicView | None
    group_state: str
    members: int | None
    denied: tuple[str, ...] = ()


def describe_cluster(settings: KafkaSettings) -> ClusterView:
    """Ask the brokers.

    Raises:
        UnreachableError: none answers.
    """
    _probe_tcp(settings)
    try:
        return _passing(KafkaError, lambda: _describe(settings))
    except KafkaConfigurationError as error:
        raise UnreachableError(
            f"the settings do not fit together ({type(error).__name__})",
            "correct ORDERS_KAFKA_SECURITY_PROTOCOL and what belongs to it",
        ) from error
    except (KafkaError, OSError, AssertionError) as error:
        raise UnreachableError(
            f"accepts connections, but does not answer as expected ({type(error).__name__})",
            "it may be frozen, or want other settings of security: look into its log, and at "
            "ORDERS_KAFKA_SECURITY_PROTOCOL, _SASL_* and _SSL_CAFILE",
        ) from error


def _describe(settings: KafkaSettings) -> ClusterView:
    options = client_options(settings)
    with closing(_BoundedAdmin(**options, request_timeout_ms=_REQUEST_TIMEOUT_MS)) as admin:
        return _Description(settings, admin).view()


def _passing(error: type[Exception] | tuple[type[Exception], ...], ask: Callable[[], T]) -> T:
    """What ``ask`` returns; tried again for a short time, since leaders and coordinators move."""
    retrying = Retrying(
        retry=retry_if_exception_type(error),
        stop=stop_after_delay(_RETRY_SECONDS),
        wait=wait_fixed(0.2),
        reraise=True,
    )
    return retrying(ask)


def _probe_tcp(settings: KafkaSettings) -> None:
    """Return when one of the addresses takes a connection."""
    reasons = []
    for server in client_options(settings)["bootstrap_servers"]:
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _PROBE_SECONDS).close()
        except TimeoutError:
            reasons.append(f"{server} does not answer")
        except socket.gaierror:
            reasons.append(f"the name {host} is not known")
        except ConnectionRefusedError:
            reasons.append(f"nothing listens on {server}")
        except OSError as error:
            reasons.append(f"{server} cannot be reached: {error.strerror}")
        else:
            return
    raise UnreachableError("; ".join(reasons), "start it, or correct ORDERS_KAFKA_BOOTSTRAP")


class _BoundedAdmin(KafkaAdminClient):  # type: ignore[misc]
    """Gives up on a broker that cannot be connected to; its base tries without end."""

    def _send_request_to_node(self, node_id: int, request: Any, wakeup: bool = True) -> Any:  # noqa: FBT001, FBT002
        deadline = time.monotonic() + _CONNECT_SECONDS
        while not self._client.ready(node_id):
            if time.monotonic() > deadline:
                raise NodeNotReadyError(node_id)
            self._client.poll(timeout_ms=50)
        return self._client.send(node_id, request, wakeup)


class _Description:
    """Describes the cluster by one admin client; notes what the brokers deny."""

    def __init__(self, settings: KafkaSettings, admin: KafkaAdminClient) -> None:
        self._settings = settings
        self._admin = admin
        self._denied: list[str] = []

    def view(self) -> ClusterView:
        names = (self._settings.topic, self._settings.dlq_topic)
        topics = {name: self._partitions(name) for name in names}
        source, letters = (self._topic(name, topics[name]) for name in names)
        state, members = self._group()
        if source:
            source = self._with_offsets(source)
        brokers = len(self._admin.describe_cluster()["brokers"])
        denied = tuple(self._denied)
        return ClusterView(self._settings, brokers, source, letters, state, members, denied)

    def _partitions(self, name: str) -> dict[int, PartitionView] | None:
        [found] = self._admin.describe_topics([name])
        error = for_code(found["error_code"])
        if error is UnknownTopicOrPartitionError:
            return None
        if error is TopicAuthorizationFailedError:
            self._denied.append(f"topic {name} ({error.__name__})")
            return None
        if found["error_code"]:
            raise error(name)
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
            self._denied.append(f"configuration of {name} ({for_code(error_code).__name__})")
            return TopicView(name, partitions, {})
        return TopicView(name, partitions, {entry[0]: entry[1] for entry in entries})

    def _group(self) -> tuple[str, int | None]:
        name = self._settings.group
        try:
            [group] = self._of_group(lambda: self._admin.describe_consumer_groups([name]))
        except KafkaError as error:
            self._note(f"group {name}", error)
            return "", None
        return group.state, len(group.members)

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
        except KafkaError as error:
            self._note(f"offsets of {topic.name}", error)
            return topic
        done = {key: found.offset for key, found in committed.items() if found.offset >= 0}
        seen = {
            number: replace(
                partition,
                start=starts.get(keys[number], 0),
                end=ends.get(keys[number], 0),
                committed=done.get(keys[number]),
            )
            for number, partition in topic.partitions.items()
        }
        return replace(topic, partitions=seen, has_offsets=True)

    def _note(self, what: str, error: KafkaError) -> None:
        self._denied.append(f"{what} ({type(error).__name__})")

    @staticmethod
    def _of_group(ask: Callable[[], T]) -> T:
        # A new cluster has no coordinator of groups until somebody has asked for one, and that of
        # a broker that has died moves to another.
        return _passing(
            (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError, NodeNotReadyError), ask
        )
