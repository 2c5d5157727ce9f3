"""All that we do with private parts of kafka-python-ng, and how we change what it does.

Its version is pinned, and a test fails when something under this module changes. Importing it
changes the client for the whole process:

- Values that a broker asks for are bounded. The client takes from the broker how much memory to
  allocate and how often to hash, also before either side has proved who it is: CVE-2026-10142,
  CVE-2026-10143, and the length of an answer during SASL.
- A connection does not wait for 0.1 s before it reads the first answer.
- Connections keep why they failed. The client itself raises NoBrokersAvailable whatever the cause
  is, logs tracebacks at each attempt, and lets some errors of a single connection escape from
  unrelated calls.
- A static member learns that another has replaced it. The client itself would take its place again.
"""

import logging
import re
import selectors
import ssl
import sys
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import kafka.client_async
import kafka.protocol.parser
import kafka.sasl.scram
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.client_async import KafkaClient
from kafka.conn import BrokerConnection, ConnectionStates
from kafka.errors import (
    AuthenticationFailedError,
    BrokerResponseError,
    CommitFailedError,
    KafkaConnectionError,
    KafkaProtocolError,
    NoBrokersAvailable,
    NodeNotReadyError,
    NoError,
    RequestTimedOutError,
    UnknownError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
    UnrecognizedBrokerVersion,
    for_code,
)
from kafka.protocol.admin import ApiVersionRequest
from kafka.protocol.api import Request, Response
from kafka.protocol.frame import KafkaBytes
from kafka.protocol.group import HeartbeatRequest_v2
from kafka.protocol.types import Array, Int16, Int32, Int64, Schema, String
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords
from kafka.scram import ScramClient
from kafka.structs import OffsetAndMetadata, TopicPartition

from orders.adapters.kafka.client.failures import (
    HANDSHAKE_ENDED,
    LOGIN_BROKEN,
    LOGIN_REFUSED,
    LOGIN_UNANSWERED,
    NO_ANSWER,
    NO_CONTROLLER,
    Failure,
    NotConnectedError,
    describe_failure,
)

MAX_FRAME_BYTES = 100_000_000
"""Largest response of a broker. Brokers themselves take requests of up to 100 MiB by default."""
MAX_SASL_BYTES = 64 * 1024
"""Largest answer during the login."""
MIN_SCRAM_ITERATIONS = 4_096
"""What RFC 7677 asks for, and what Kafka never goes below."""
MAX_SCRAM_ITERATIONS = 1_000_000
"""Kafka's own limit is 16,384. A million take about half a second."""

_METADATA_WAIT_MS = 5_000
_FENCED_INSTANCE_ID = 82
"""The error code for a static member that another has replaced; the client does not know it."""

# It writes to the root logger, whose level is not the client's.
kafka.sasl.scram.log = logging.getLogger(kafka.sasl.scram.__name__)

_CLOSED = re.compile("reset|disconnected|broken pipe|ECONNRESET|EPIPE", re.IGNORECASE)

_Read = Callable[[TopicPartition, MemoryRecords, int, int], Any]

_READS = BrokerConnection.DEFAULT_CONFIG["sock_chunk_buffer_count"]


class _BoundedFrame(KafkaBytes):  # type: ignore[misc]
    """The buffer of a response, allocated when its length has come."""

    def __init__(self, size: int) -> None:
        if not 0 <= size <= MAX_FRAME_BYTES:
            raise KafkaProtocolError(f"a response of {size} bytes is announced")
        super().__init__(size)


class _BoundedScram(ScramClient):  # type: ignore[misc]
    def create_salted_password(self, salt: bytes, iterations: int) -> None:
        if not MIN_SCRAM_ITERATIONS <= iterations <= MAX_SCRAM_ITERATIONS:
            raise ConnectionError(f"the broker asks for {iterations} SCRAM iterations")
        super().create_salted_password(salt, iterations)


class _ReportingConnection(BrokerConnection):  # type: ignore[misc]
    """Keeps why it failed last, until it gets a response."""

    failure: Failure | None = None
    failed_at = 0.0

    def connect(self) -> Any:
        """An error is a failed connection; it is tried again after the back-off."""
        try:
            return super().connect()
        except Exception as error:  # noqa: BLE001 (hostile answers raise anything)
            self.close(error)
            return self.state

    def check_version(self, timeout: float = 2, **_: Any) -> Any:
        """Ask the broker which requests it knows, as brokers can be asked since 0.10.

        The client itself waits for 0.1 s before it reads the answer, because of older ones: four
        times at each start of a consumer.
        """
        try:
            versions = self._handle_api_version_response(self._known_requests(timeout))
            return self._infer_broker_version_from_api_versions(versions)
        except NodeNotReadyError:
            raise
        except Exception as error:
            self.close(error)
            raise NodeNotReadyError from error

    def _known_requests(self, timeout: float) -> Any:
        ends = time.monotonic() + timeout
        if not self.connect_blocking(timeout):
            raise NodeNotReadyError
        answer = self.send(ApiVersionRequest[0]())
        with self.config["selector"]() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            while not answer.is_done:
                if not selector.select(ends - time.monotonic()):
                    self.close(RequestTimedOutError())
                for response, future in self.recv():
                    future.success(response)
        if answer.failed():
            raise answer.exception
        return answer.value

    def _handle_sasl_handshake_response(self, future: Any, response: Any) -> Any:
        """The same for the rest of the login, whose errors the caller swallows."""
        try:
            return super()._handle_sasl_handshake_response(future, response)
        except Exception as error:  # noqa: BLE001
            self.close(error)
            return future.failure(KafkaConnectionError(type(error).__name__))

    def _recv_bytes_blocking(self, size: int) -> bytes:
        if not 0 <= size <= MAX_SASL_BYTES:
            raise ConnectionError(f"a SASL answer of {size} bytes is announced")
        received: bytes = super()._recv_bytes_blocking(size)
        return received

    def recv(self) -> Any:
        """The same for what cannot be decoded."""
        # The client drops an answer that it reads together with the end of the connection, such as
        # the one that says why the login is refused. A single read does not reach that end.
        is_login = self.state is ConnectionStates.AUTHENTICATING
        self.config["sock_chunk_buffer_count"] = 1 if is_login else _READS
        try:
            responses = super().recv()
        except ssl.SSLError as error:  # in TLS 1.3 a client's certificate is refused afterwards
            self.close(error)
            return ()
        except Exception as error:  # noqa: BLE001
            self.close(KafkaProtocolError(type(error).__name__))
            return ()
        if responses and self.connected():
            self.failure = None
        return responses

    def close(self, error: BaseException | None = None) -> None:
        """Note why; what the client closed of itself is no failure."""
        if error is not None and not self.disconnected():
            self.failure, self.failed_at = self._describe(error), time.monotonic()
        # It may be half made, and the files of certificates may be others by the next connection.
        self._ssl_context = self.config["ssl_context"]
        super().close(error)

    def _describe(self, error: BaseException) -> Failure:
        handled = sys.exception()
        if self.state is ConnectionStates.HANDSHAKE:
            # The client replaces the error that it handles by one that says nothing.
            if isinstance(handled, ssl.SSLError):
                return describe_failure(handled)
            return HANDSHAKE_ENDED
        if self.state is ConnectionStates.AUTHENTICATING:
            return _describe_login(error)
        if isinstance(handled, OSError) and (alert := self._unread_alert()):
            return describe_failure(alert)
        return describe_failure(error)

    def _unread_alert(self) -> ssl.SSLError | None:
        """Why the broker has ended TLS, where sending failed before that was read."""
        try:
            self._sock.recv(1)
        except ssl.SSLError as error:
            return error if "ALERT" in str(error) else None
        except OSError:
            pass
        return None


def _describe_login(error: BaseException) -> Failure:
    text = str(error)
    if isinstance(error, (BrokerResponseError, NotConnectedError)):
        return describe_failure(error)
    if isinstance(error, AuthenticationFailedError) or _CLOSED.search(text):
        return LOGIN_REFUSED  # brokers do not say so, they close the connection
    return LOGIN_UNANSWERED if "timed out" in text or "timeout" in text else LOGIN_BROKEN


class ReportingClient(KafkaClient):  # type: ignore[misc]
    """Raises NotConnectedError for NoBrokersAvailable; to be the ``kafka_client`` of a client."""

    def check_version(self, node_id: int | None = None, **options: Any) -> Any:
        """As the base."""
        # While the brokers elect a controller or start, it may be -1 or one that they do not list
        # yet. The base asserts that they do.
        if node_id is not None and self.cluster.broker_metadata(node_id) is None:
            raise NotConnectedError(NO_CONTROLLER)
        try:
            return super().check_version(node_id, **options)
        except (NoBrokersAvailable, NodeNotReadyError, UnrecognizedBrokerVersion) as error:
            raise self.not_connected() from error

    def not_connected(self) -> NotConnectedError:
        """The error to raise where no connection can be made."""
        return NotConnectedError(self.failure or NO_ANSWER, self._advertised)

    @property
    def failure(self) -> Failure | None:
        """Why the latest connection failed; None where all that are open work. For any thread."""
        failing = self._failing
        return failing.failure if failing else None

    @property
    def _failing(self) -> _ReportingConnection | None:
        failing = [c for c in list(self._conns.values()) if c.failure is not None]
        return max(failing, key=lambda connection: connection.failed_at, default=None)

    @property
    def _advertised(self) -> str | None:
        """The failing address, if the brokers advertise it."""
        failing = self._failing
        if failing is None or self.cluster.is_bootstrap(failing.node_id):
            return None
        return f"{failing.host}:{failing.port}"


class _DeleteRecordsResponse(Response):  # type: ignore[misc]
    """Version 0 of a message that the client does not have."""

    API_KEY = 21
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            Array(
                ("name", String("utf-8")),
                (
                    "partitions",
                    Array(("partition", Int32), ("low_watermark", Int64), ("error_code", Int16)),
                ),
            ),
        ),
    )


class _DeleteRecordsRequest(Request):  # type: ignore[misc]
    """Version 0, which brokers know since 0.11."""

    API_KEY = 21
    API_VERSION = 0
    RESPONSE_TYPE = _DeleteRecordsResponse
    SCHEMA = Schema(
        (
            "topics",
            Array(
                ("name", String("utf-8")),
                ("partitions", Array(("partition", Int32), ("offset", Int64))),
            ),
        ),
        ("timeout_ms", Int32),
    )


class BoundedAdmin(KafkaAdminClient):  # type: ignore[misc]
    """Gives up on a broker that cannot be connected to; its base tries without end.

    Connecting may take half as long as a request.
    """

    def _send_request_to_node(self, node_id: int, request: Any, wakeup: bool = True) -> Any:  # noqa: FBT001, FBT002
        deadline = time.monotonic() + self.config["request_timeout_ms"] / 2_000
        while not self._client.ready(node_id):
            if time.monotonic() > deadline:
                raise self._client.not_connected()
            self._client.poll(timeout_ms=50)
        return self._client.send(node_id, request, wakeup)

    def described_topic(self, topic: str) -> Mapping[str, Any] | None:
        """What the brokers say of a topic now; None if it does not exist.

        The client's consumer takes a request that has failed for a topic that does not exist.

        Raises:
            KafkaError: no broker answers, or none may describe it.
        """
        [described] = self.describe_topics([topic])
        error = for_code(described["error_code"])
        if error is UnknownTopicOrPartitionError:
            return None
        if error is not NoError:
            raise error(topic)
        return described  # type: ignore[no-any-return]

    def delete_records(self, topic: str, ends: Mapping[int, int]) -> None:
        """Delete the records of each partition up to, but excluding, an offset.

        Raises:
            KafkaError: a broker does not answer, or refuses it.
        """
        described = self.described_topic(topic)
        if described is None:
            raise UnknownTopicOrPartitionError(topic)
        leaders = {each["partition"]: each["leader"] for each in described["partitions"]}
        timeout_ms = self.config["request_timeout_ms"]
        futures = [
            self._send_request_to_node(
                leaders.get(partition, -1),
                _DeleteRecordsRequest([(topic, [(partition, end)])], timeout_ms),
            )
            for partition, end in ends.items()
        ]
        self._wait_for_futures(futures)
        for future in futures:
            for _, partitions in future.value.topics:
                for _, _, error_code in partitions:
                    if error_code:
                        raise for_code(error_code)(topic)


def _until_next_heartbeat(heartbeat: Any) -> float:
    """Seconds until the next multiple of the interval by the clock; until a retry after a failure.

    So all members of the group send theirs at the same moments. The brokers notice that one is dead
    a session timeout after such a moment, and the others hear of it at the next one. The client
    sends them at any time, so they would hear of it half an interval later on average.
    """
    now = time.time()
    last: float = max(heartbeat.last_send, heartbeat.last_reset)
    if heartbeat.heartbeat_failed:
        backoff: float = heartbeat.config["retry_backoff_ms"] / 1_000
        return max(0.0, last + backoff - now)
    interval: float = heartbeat.config["heartbeat_interval_ms"] / 1_000
    return max(0.0, (last // interval + 1) * interval - now)


class ExtendedConsumer(KafkaConsumer):  # type: ignore[misc]
    """Gives access to what the client keeps to itself."""

    is_replaced = False
    """Whether another consumer has joined with the same instance id. For any thread."""

    def __init__(self, *topics: str, **options: Any) -> None:
        super().__init__(*topics, **options)
        coordinator = self._coordinator
        heartbeat = coordinator.heartbeat
        heartbeat.time_to_next_heartbeat = partial(_until_next_heartbeat, heartbeat)
        if self.config["group_instance_id"]:
            coordinator._handle_heartbeat_response = partial(  # noqa: SLF001
                self._heartbeat_answered,
                coordinator._handle_heartbeat_response,  # noqa: SLF001
            )
            coordinator._handle_offset_commit_response = partial(  # noqa: SLF001
                self._commit_answered,
                coordinator._handle_offset_commit_response,  # noqa: SLF001
            )

    def _heartbeat_answered(
        self, handle: Callable[..., None], future: Any, sent: float, response: Any
    ) -> None:
        self.is_replaced |= response.error_code == _FENCED_INSTANCE_ID
        handle(future, sent, response)

    def _commit_answered(
        self,
        handle: Callable[..., None],
        offsets: Any,
        future: Any,
        sent: float,
        response: Any,
    ) -> None:
        """Leave it to the next heartbeat whether this member was replaced, or has to join again.

        Commits do not carry the instance id. The client would join at once, and so take the place
        of the one that has replaced it.
        """
        codes = {code for _, partitions in response.topics for _, code in partitions}
        if UnknownMemberIdError.errno in codes:
            future.failure(CommitFailedError())
        else:
            handle(offsets, future, sent, response)

    @property
    def failure(self) -> Failure | None:
        """See ``ReportingClient.failure``."""
        return self._client.failure  # type: ignore[no-any-return]

    @property
    def last_heartbeat(self) -> float:
        """Unix time of the last answer to a heartbeat, or of joining the group. For any thread."""
        heartbeat = self._coordinator.heartbeat
        return max(heartbeat.last_receive, heartbeat.last_reset)  # type: ignore[no-any-return]

    def committed_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, OffsetAndMetadata]:
        """What the group has committed, asked of the brokers now."""
        return self._coordinator.fetch_committed_offsets(partitions)  # type: ignore[no-any-return]

    def committed_metadata(self, partition: TopicPartition) -> str | None:
        """What was noted beside the committed offset when the partition was assigned."""
        state = self._subscription.assignment.get(partition)
        return state.committed.metadata if state and state.committed else None

    def current_position(self, partition: TopicPartition) -> int | None:
        """The next offset to fetch, if it is known; asks no broker. For any thread."""
        state = self._subscription.assignment.get(partition)
        return state.position if state else None

    def end(self, partition: TopicPartition) -> int | None:
        """The end of the partition as of its last fetch, if it is known. For any thread."""
        state = self._subscription.assignment.get(partition)
        return state.highwater if state else None

    def refresh_metadata(self) -> None:
        """Ask a broker for the topics.

        Raises:
            KafkaError: a topic does not exist, or no broker responded in time.
        """
        response = self.request_metadata()
        self._client.poll(timeout_ms=_METADATA_WAIT_MS, future=response)
        if response.failed():
            raise response.exception
        if not response.succeeded():
            raise UnknownError("no broker described the topic")

    def request_metadata(self) -> Any:
        """Have the topics asked for by the next poll; the future of that."""
        return self._client.cluster.request_update()

    def read_with(self, new_read: Callable[[], _Read]) -> None:
        """Have the fetches of each poll unpacked by what ``new_read`` then returns.

        That also gets the offset to start from, and how many fetches are left. What it does not
        return is fetched again. The partition that was read longest ago is asked for, and read,
        first.
        """
        self._new_read, self._read = new_read, new_read()
        self._polls = 0
        self._last_read: dict[TopicPartition, int] = {}
        fetcher = self._fetcher
        fetcher._unpack_message_set = self._unpack  # noqa: SLF001
        fetcher.fetched_records = partial(self._in_turn, fetcher.fetched_records)
        # Brokers fill a response in the order of the partitions that it is asked for.
        fetchable = fetcher._fetchable_partitions  # noqa: SLF001
        fetcher._fetchable_partitions = lambda: sorted(fetchable(), key=self._read_at)  # noqa: SLF001

    def poll(self, *arguments: Any, **options: Any) -> Any:
        """As the base, with a new reader."""
        self._read = self._new_read()
        self._polls += 1
        return super().poll(*arguments, **options)

    def _in_turn(self, fetched_records: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        # The thread of the heartbeats may append to it at any time.
        waiting = self._fetcher._completed_fetches  # noqa: SLF001
        fetches = [waiting.popleft() for _ in range(len(waiting))]
        fetches.sort(key=lambda fetch: self._read_at(fetch.topic_partition))
        waiting.extendleft(reversed(fetches))
        return fetched_records(*arguments, **options)

    def _read_at(self, partition: TopicPartition) -> int:
        """The poll in which the partition was read last."""
        return self._last_read.get(partition, 0)

    def _unpack(self, partition: TopicPartition, fetched: MemoryRecords) -> Any:
        waiting = list(self._fetcher._completed_fetches)  # noqa: SLF001
        fetches = 1 + sum(1 for fetch in waiting if fetch.partition_data[-1])
        start = self._subscription.assignment[partition].position
        records = list(self._read(partition, fetched, start, fetches))
        if records:
            self._last_read[partition] = self._polls
        return records

    def wrap_fetcher(
        self,
        parse: Callable[[Callable[[Any], Any], Any], Any],
        reset: Callable[[Callable[[TopicPartition], None], TopicPartition], None],
    ) -> None:
        """Put ``parse`` around the parsing of fetches and ``reset`` around that of offsets.

        Each gets the client's own function first.
        """
        fetcher = self._fetcher
        fetcher._parse_fetched_data = partial(parse, fetcher._parse_fetched_data)  # noqa: SLF001
        fetcher._reset_offset = partial(reset, fetcher._reset_offset)  # noqa: SLF001


class ExtendedProducer(KafkaProducer):  # type: ignore[misc]
    """Gives access to what the client keeps to itself."""

    @property
    def failure(self) -> Failure | None:
        """See ``ReportingClient.failure``."""
        return self._sender._client.failure  # type: ignore[no-any-return]  # noqa: SLF001

    @property
    def is_sending(self) -> bool:
        """Whether its network thread is alive; nobody else would notice its end."""
        return self._sender.is_alive()  # type: ignore[no-any-return]

    def ask_broker(self, fresh: float, done: Callable[[Exception | None], None]) -> None:
        """Refresh the metadata unless they are ``fresh`` (seconds): proof that a broker answers."""
        if time.time() - self._metadata._last_successful_refresh_ms / 1000 < fresh:  # noqa: SLF001
            done(None)
            return
        future = self._metadata.request_update()
        future.add_callback(lambda _cluster: done(None)).add_errback(done)
        self._sender.wakeup()


def packed_records(batch: DefaultRecordBatch) -> bytes:
    """The records of a batch, without its header, as they were sent."""
    return bytes(batch._buffer[batch.HEADER_STRUCT.size :])  # noqa: SLF001


def record_count(batch: DefaultRecordBatch) -> int:
    """How many records a batch says that it has."""
    return batch._num_records  # type: ignore[no-any-return]  # noqa: SLF001


def skip_rest(fetched: MemoryRecords) -> None:
    """End a fetch here. The client counts its bytes; with a corrupt length it would never end."""
    fetched._remaining_bytes = 0  # noqa: SLF001


# The client sends the fields of version 3, so brokers skip the instance id in them.
HeartbeatRequest_v2.API_VERSION = 3
kafka.client_async.BrokerConnection = _ReportingConnection
kafka.protocol.parser.KafkaBytes = _BoundedFrame
kafka.sasl.scram.ScramClient = _BoundedScram
