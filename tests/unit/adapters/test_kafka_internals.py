"""What we do with private parts of the Kafka client stands in one module, and is as it was read."""

import ast
import hashlib
import inspect
import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from kafka.admin import KafkaAdminClient
from kafka.client_async import KafkaClient
from kafka.cluster import ClusterMetadata
from kafka.conn import BrokerConnection
from kafka.consumer.fetcher import CompletedFetch, Fetcher
from kafka.consumer.group import KafkaConsumer
from kafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from kafka.coordinator.base import BaseCoordinator
from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.coordinator.heartbeat import Heartbeat
from kafka.errors import (
    InvalidTopicError,
    KafkaError,
    LeaderNotAvailableError,
    TopicAuthorizationFailedError,
    UnknownError,
    UnknownTopicOrPartitionError,
)
from kafka.producer.kafka import KafkaProducer
from kafka.producer.sender import Sender
from kafka.protocol.api import Request, Response
from kafka.protocol.frame import KafkaBytes
from kafka.protocol.group import HeartbeatRequest_v2, HeartbeatResponse_v2
from kafka.protocol.parser import KafkaProtocol
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from kafka.sasl import scram
from kafka.scram import ScramClient
from kafka.structs import TopicPartition

from orders.adapters.kafka.client import internals
from orders.adapters.kafka.wire.record_batches import Record

MODULE = Path(inspect.getfile(internals))
ADAPTER = MODULE.parents[1]
RELIED_ON: dict[Any, str] = {
    BrokerConnection.__init__: "8a4655a25fad",
    BrokerConnection.connect: "8f83803e74d9",
    BrokerConnection.check_version: "8d241b04f5c3",
    BrokerConnection._wrap_ssl: "65b3cd327e62",
    BrokerConnection._try_handshake: "a5acb37acb76",
    BrokerConnection._try_authenticate: "0aab447f7267",
    BrokerConnection._handle_sasl_handshake_response: "4ae92cc3fd90",
    BrokerConnection._recv_bytes_blocking: "cefcc0809e3a",
    BrokerConnection.recv: "fac8cdb67a5f",
    BrokerConnection._recv: "fede4f22db6a",
    BrokerConnection.close: "2c35d3e26ed7",
    KafkaBytes: "7b12af5a4b33",
    KafkaProtocol: "13e2d61079e6",
    ScramClient: "4a77817c9d37",
    scram: "3ca54c5a531a",
    ClusterMetadata.__init__: "ecd0f6360a36",
    ClusterMetadata.request_update: "82e24557320d",
    ClusterMetadata.is_bootstrap: "3dd84f5d6532",
    KafkaClient.__init__: "e6b70998ac75",
    KafkaClient.check_version: "cd1b40668fcc",
    KafkaClient._maybe_connect: "59a586361dee",
    KafkaClient.poll: "a9511f6048e5",
    KafkaAdminClient.__init__: "fbc0296cfe89",
    KafkaAdminClient._send_request_to_node: "8b998b5b622b",
    KafkaAdminClient._wait_for_futures: "c307f6a5b55d",
    Request: "18932635d123",
    Response: "f22f28236144",
    KafkaConsumer.__init__: "9be637b4216b",
    HeartbeatRequest_v2: "51c982b57dde",
    HeartbeatResponse_v2: "d5924db4b3ea",
    BaseCoordinator._send_heartbeat_request: "4c56b1a5a803",
    BaseCoordinator._handle_heartbeat_response: "c163a0afa559",
    ConsumerCoordinator._send_offset_commit_request: "c649542ef6b0",
    ConsumerCoordinator._handle_offset_commit_response: "5ea69bca2209",
    ConsumerCoordinator.fetch_committed_offsets: "ab62b4a997c7",
    Heartbeat: "0c5e8d641912",
    SubscriptionState.__init__: "fb47106bfb66",
    TopicPartitionState.__init__: "4ba9e13dbca2",
    Fetcher.__init__: "977ad537b4df",
    Fetcher.fetched_records: "a49276a0030d",
    Fetcher._fetchable_partitions: "9015af024526",
    Fetcher._create_fetch_requests: "ec2488113514",
    Fetcher._parse_fetched_data: "2af3a3a7c7de",
    Fetcher._unpack_message_set: "3bac04a2b5e6",
    Fetcher._reset_offset: "a257e3308731",
    KafkaProducer.__init__: "9c959aad4e59",
    Sender: "040b9d9594d1",
    DefaultRecordBatch.__init__: "3234e8d40e11",
    MemoryRecords: "8687cff1bf9c",
}
"""What our module calls, replaces or copies, and the digest of its source."""
OWN = {
    *("_advertised", "_commit_answered", "_describe", "_describe_login", "_failing"),
    *("_heartbeat_answered", "_in_turn", "_known_requests", "_last_read", "_new_read", "_polls"),
    *("_read", "_read_at", "_unpack", "_unread_alert", "_until_next_heartbeat"),
}
"""Private names of the module's own."""
EXTENSION_POINTS = {
    "ConsumerRebalanceListener",
    "RangePartitionAssignor",
    "StickyPartitionAssignor",
}
"""Classes of the client that it documents for others to derive from."""


def digest(part: Any) -> str:
    return hashlib.sha256(inspect.getsource(part).encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    "part", RELIED_ON, ids=lambda part: getattr(part, "__qualname__", part.__name__)
)
def test_the_client_is_as_it_was_when_this_module_was_written(part: Any) -> None:
    assert digest(part) == RELIED_ON[part], (
        "the client has changed here: compare it with what internals.py does, then correct this"
    )


def test_all_that_it_touches_is_among_that() -> None:
    tree = ast.parse(MODULE.read_text())
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    touched = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    private = {name for name in touched if re.match("_[a-z]", name)} - own
    private |= {name for name in own if re.match("_[a-z]", name)}  # some replace the client's
    sources = "\n".join(map(inspect.getsource, RELIED_ON))
    assert len(private) > 10
    assert {name for name in private if not re.search(rf"\b{name}\b", sources)} == OWN


def test_the_client_reads_from_leaders_only_and_names_no_rack() -> None:
    # Which is why there is no setting for it (KIP-392 needs version 11 of the request).
    fetching = inspect.getsource(Fetcher._create_fetch_requests)
    assert "leader_for_partition" in fetching
    assert max(map(int, re.findall(r"version = (\d+)", fetching))) == 4
    assert not [option for option in KafkaConsumer.DEFAULT_CONFIG if "rack" in option]


@pytest.mark.parametrize(
    "path", sorted(set(ADAPTER.rglob("*.py")) - {MODULE}), ids=lambda path: path.name
)
def test_no_other_module_does(path: Path) -> None:
    text = path.read_text()
    assert "SLF001" not in text  # how a private part that is used on purpose is marked for ruff
    tree = ast.parse(text)
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not any(name.name.startswith("kafka") for name in node.names), "to patch it?"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kafka"):
            assert not any(name.name.startswith("_") for name in node.names)
            if node.module != "kafka.errors":
                imported |= {name.name for name in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
            assert not bases & imported - EXTENSION_POINTS


def test_the_end_of_a_partition_may_be_asked_for_at_any_moment() -> None:
    """A scrape may ask for one that was revoked just now, where the client asserts."""
    consumer = internals.ExtendedConsumer(
        bootstrap_servers="127.0.0.1:1", api_version=(2, 5, 0), group_id=None
    )
    partition = TopicPartition("orders", 0)
    assert consumer.end(partition) is None
    consumer.assign([partition])
    assert consumer.end(partition) is None
    consumer._subscription.assignment[partition].highwater = 7
    assert consumer.end(partition) == 7
    consumer.close()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (-1, UnknownError),
        (5, LeaderNotAvailableError),
        (17, InvalidTopicError),
        (29, TopicAuthorizationFailedError),
    ],
)
def test_a_topic_that_cannot_be_described_is_not_missing(
    monkeypatch: pytest.MonkeyPatch, code: int, error: type[KafkaError]
) -> None:
    answer = {"error_code": code}
    monkeypatch.setattr(internals.BoundedAdmin, "describe_topics", lambda *_: [answer])
    admin = internals.BoundedAdmin.__new__(internals.BoundedAdmin)
    with pytest.raises(error):
        admin.described_topic("orders.dlq")
    answer["error_code"] = UnknownTopicOrPartitionError.errno
    assert admin.described_topic("orders.dlq") is None
    with pytest.raises(UnknownTopicOrPartitionError):
        admin.delete_records("orders.dlq", {0: 1})


def test_members_send_their_heartbeats_at_the_same_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("time.time", lambda: now)
    heartbeats = [
        Heartbeat(group_id="g", heartbeat_interval_ms=2_100, session_timeout_ms=6_000)
        for _ in range(2)
    ]
    found = []
    for heartbeat in heartbeats:
        now += 1.3  # they join one after the other
        heartbeat.reset_timeouts()
        for _ in range(3):
            wait = internals._until_next_heartbeat(heartbeat)
            assert 0 < wait <= 2.1
            now += wait + 0.05
            assert internals._until_next_heartbeat(heartbeat) == 0
            heartbeat.sent_heartbeat()
            found.append((now - 0.05) / 2.1)
    assert all(abs(moment - round(moment)) < 1e-6 for moment in found)
    heartbeats[0].fail_heartbeat()
    heartbeats[0].last_send = now
    assert internals._until_next_heartbeat(heartbeats[0]) == pytest.approx(0.1)


def test_the_partition_that_was_read_longest_ago_is_read_first() -> None:
    consumer = internals.ExtendedConsumer(
        bootstrap_servers="127.0.0.1:1", api_version=(2, 5, 0), group_id=None
    )
    partitions = [TopicPartition("orders", number) for number in range(3)]
    consumer.assign(partitions)
    left: list[tuple[int, int]] = []

    def read(partition: TopicPartition, _fetched: MemoryRecords, _start: int, fetches: int) -> Any:
        left.append((partition.partition, fetches))
        return [Record(0, 0, None, b"", ())] if fetches > 1 else []  # the last one has no room

    consumer.read_with(lambda: read)
    fetcher = consumer._fetcher
    found = []
    for _ in range(3):
        for partition in partitions:
            consumer.seek(partition, 0)
            content = one_record() if partition.partition else b""
            fetched = CompletedFetch(partition, 0, 0, (0, 1, content), Mock())
            fetcher._completed_fetches.append(fetched)
        consumer.poll(0)
        found.append([*left])
        left.clear()
    consumer.close()
    assert found == [[(1, 2), (2, 1)], [(2, 2), (1, 1)], [(1, 2), (2, 1)]]


def one_record() -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, 0, 0, 0, 1_000)
    builder.append(0, 0, None, b"", [])
    return bytes(builder.build())
