"""The producer that sends all messages, in a thread of its own.

The client's calls block (for metadata, for space in its buffer), so none of them is made in the
event loop. A caller waits until all replicas have acknowledged, for a bounded time.
"""

import asyncio
import queue
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import structlog
from kafka import KafkaProducer
from kafka.errors import (
    BrokerResponseError,
    InvalidTimestampError,
    KafkaConfigurationError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownError,
)
from kafka.partitioner import DefaultPartitioner, murmur2
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from orders.adapters.kafka.client.failures import is_missing_right, reason_of
from orders.adapters.kafka.client.internals import ExtendedProducer
from orders.adapters.kafka.client.loop_callbacks import call_in_loop
from orders.adapters.kafka.client.settings import KafkaSettings, client_options
from orders.adapters.kafka.client.topics import TopicAdmin, TopicLimits
from orders.domain.errors import Misconfigured, OrdersError, TooLarge, Unavailable
from orders.domain.intake.messages import MAX_MESSAGE_BYTES
from orders.domain.order.rules import ID_MAX_BYTES
from orders.domain.ports import Dependency

SEND_TIMEOUT = 6.0
"""Seconds within which all messages of one call have to be acknowledged."""
CHECK_TIMEOUT = 0.8
"""Seconds that a broker has to answer a check in: less than health waits, which knows no cause."""
CLOSE_TIMEOUT = 2.5
"""Seconds that closing may take; later acknowledgements are not waited for."""
SENT_AT_ONCE = 500
"""Messages of one call that are sent before those of others have their turn: 10 ms or so."""
BATCH_OVERHEAD = 61
"""Bytes of a record batch besides its records."""

_FRESH = 2.0
_TOMBSTONE = object()

_REFUSALS = (
    InvalidTimestampError,
    UnknownError,  # among others INVALID_RECORD: no key, in a compacted topic
    *(ValueError, OverflowError, struct.error),  # the client cannot write it, such as its timestamp
)

_default_partitioner = DefaultPartitioner()


@lru_cache(maxsize=1)  # the dead letters of an array have one key
def _hash(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF


def choose_partition(key: bytes | None, partitions: list[int], available: list[int]) -> int:
    """Choose as the client does, by the start of the key: no order_uid is longer.

    The client hashes in Python: a third of a second for a megabyte.
    """
    if key is None:
        return int(_default_partitioner(key, partitions, available))
    return partitions[_hash(key[:ID_MAX_BYTES]) % len(partitions)]


_log = structlog.get_logger(__name__)

BATCH_BYTES = 128 * 1024
"""The most bytes of a record batch, unless a single message is larger: that has one to itself."""

_DEFAULTS: dict[str, Any] = {
    # All in-sync replicas must have it, and retries keep the order within a partition.
    "acks": "all",
    "retries": 20,
    "retry_backoff_ms": 250,
    "max_in_flight_requests_per_connection": 1,
    "request_timeout_ms": 5_000,
    "max_block_ms": 1_000,
    "linger_ms": 1,
    "batch_size": BATCH_BYTES,
    "compression_type": "lz4",
    "partitioner": choose_partition,
    # Brokers limit the compressed size. These limits are uncompressed, and those of what we read:
    # dead letters are read again.
    "max_request_size": MAX_MESSAGE_BYTES,
    "buffer_memory": 4 * MAX_MESSAGE_BYTES,
    # Before it serializes a message, the client rejects one that has neither key nor value.
    "value_serializer": lambda value: None if value is _TOMBSTONE else value,
}


class MessageRefused(Unavailable):
    """The brokers, or the client, do not take a message for its metadata."""


class Outgoing(NamedTuple):
    """One message to send; ``timestamp`` is in ms of Unix time, None for now."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int | None = None

    @property
    def size(self) -> int:
        """At most the bytes that a batch of only this message takes uncompressed, plus a few."""
        headers = sum(len(name.encode()) + len(value) + 10 for name, value in self.headers)
        return BATCH_OVERHEAD + 25 + len(self.key or b"") + len(self.value or b"") + headers


class KafkaProducerClient(Dependency):
    """Sends messages. ``options`` override ours for the client's producer.

    It creates the topics that it ``ensures`` if they are missing: of orders and dead letters, of
    orders alone, or none. To the others it needs no right until it sends to them.

    Attributes:
        given_up: bytes that the client still has of calls which have given up waiting for them.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        ensures: Literal["both", "source", "none"] = "both",
        **options: Any,
    ) -> None:
        self._settings = settings
        self._ensures = ensures
        self._options = options
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._checks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()  # before any job
        self._is_closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._has_closed = asyncio.Event()
        self._producer: Any = None
        self._failure: str | None = None
        self._connecting = "no broker has answered yet"
        self._lacks_right = False
        self.limits = TopicLimits()
        self.given_up = 0

    async def open(self) -> None:
        """Start connecting in the background, with retries."""
        loop = asyncio.get_running_loop()
        closed = self._has_closed.set
        self._thread = threading.Thread(
            target=self._run,
            args=(lambda: call_in_loop(loop, closed),),
            name="kafka-producer",
            daemon=True,
        )
        self._thread.start()

    async def close(self) -> None:
        """Send pending messages, within ``CLOSE_TIMEOUT``."""
        if self._thread is None:
            return
        self._thread = None
        self._is_closing.set()
        self._jobs.put(lambda: None)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT + 0.5):
                await self._has_closed.wait()

    async def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        """Send messages in order, and wait until all replicas have them.

        Raises:
            TooLarge: a message is larger than the topic accepts.
            MessageRefused: sending them as they are cannot help; some may have been sent.
            Misconfigured: a right is missing.
            Unavailable: not all were acknowledged within ``SEND_TIMEOUT``; some may have been
                sent all the same.
        """
        if not messages:
            return
        self._check_open()
        job = _Job(asyncio.get_running_loop(), topic, messages, self._note_end)
        self._jobs.put(lambda: self._send_some(job))
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                await job.acknowledged
        except TimeoutError:
            raise self._unavailable("the brokers did not acknowledge in time") from None
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            raise TooLarge("a message is larger than the topic takes") from error
        except _REFUSALS as error:
            raise MessageRefused(f"a message is refused: {reason_of(error)}") from error
        except (KafkaError, AssertionError) as error:
            raise _failure(error, "the brokers did not acknowledge: ") from error
        finally:
            job.is_over = True
            if job.waiting:
                job.given_up = sum(message.size for message in messages)
                self.given_up += job.given_up

    def _note_end(self, job: "_Job") -> None:
        self.given_up -= job.given_up
        job.given_up = 0

    async def check(self) -> None:
        """See ``Dependency.check``: a broker answered within the last seconds."""
        self._check_open()
        if self._producer is None:
            raise Unavailable(self._connecting)
        if not self._producer.is_sending:
            raise Unavailable("the producer's network thread has ended")
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[None] = loop.create_future()

        def settle(error: Exception | None) -> None:
            if not answered.done():
                answered.set_result(None) if error is None else answered.set_exception(error)

        self._checks.put(lambda: self._ask(lambda error: call_in_loop(loop, settle, error)))
        self._jobs.put(lambda: None)  # it may have none
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await answered
        except BrokerResponseError as error:  # an answer, which refuses what is sent
            raise _failure(error) from None
        except (TimeoutError, KafkaError, OSError):
            raise self._unavailable("the brokers do not answer") from None

    def _unavailable(self, what: str) -> Unavailable:
        if self._producer is None:
            kind = Misconfigured if self._lacks_right else Unavailable
            return kind(f"{what}: {self._connecting}")
        failure = self._producer.failure
        return Unavailable(f"{what}: {failure.reason}" if failure else what)

    def _check_open(self) -> None:
        if self._thread is None:
            raise OrdersError("the producer is not open")
        if self._failure:
            raise Unavailable(self._failure)

    # The thread.

    def _run(self, closed: Callable[[], None]) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 (raised to senders)
            self._failure = f"the producer has ended ({type(error).__name__})"
            _log.exception("producer has ended")
        finally:
            if self._producer is not None:
                self._producer.close(timeout=CLOSE_TIMEOUT)
            closed()

    def _work(self) -> None:
        retrying = Retrying(
            retry=retry_if_exception_type((KafkaError, OSError)),
            wait=wait_random_exponential(multiplier=0.2, max=5),
            sleep=self._sleep,
            stop=lambda _state: self._is_closing.is_set(),
            before_sleep=self._note_failure,
            reraise=True,
        )
        try:
            admin = TopicAdmin(self._settings)
            if self._ensures != "none":
                ensure = admin.ensure if self._ensures == "both" else admin.ensure_source
                self.limits = retrying(ensure)
            self._producer = retrying(self._new_producer)
        except KafkaConfigurationError:
            raise
        except (KafkaError, OSError):
            return  # closed before any broker answered
        while not self._is_closing.is_set() or not self._jobs.empty():
            job = self._jobs.get()
            while not self._checks.empty():
                self._checks.get()()
            job()

    def _note_failure(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        assert error is not None
        reason = reason_of(error)
        if reason != self._connecting:
            _log.warning("producer tries again", reason=reason, error=type(error).__name__)
            self._connecting = reason
            self._lacks_right = is_missing_right(error)

    def _sleep(self, seconds: float) -> None:
        self._is_closing.wait(seconds)

    def _new_producer(self) -> ExtendedProducer:
        options = client_options(self._settings) | _DEFAULTS
        producer = ExtendedProducer(**(options | self._options))
        # So that the first message does not wait for metadata. Asking for that of a topic which is
        # missing could make a broker create it.
        if self._ensures != "none":
            producer.partitions_for(self._settings.topic)
        if self._ensures == "both":
            producer.partitions_for(self._settings.dlq_topic)
        return producer

    def _send_some(self, job: "_Job") -> None:
        if job.send_some(self._producer):
            self._jobs.put(lambda: self._send_some(job))

    def _ask(self, done: Callable[[Exception | None], None]) -> None:
        try:
            self._producer.ask_broker(_FRESH, done)
        except (KafkaError, OSError) as error:  # must not end this thread
            done(error)


class _Job:
    """The messages of one call, and their acknowledgement.

    Attributes:
        waiting: the numbers of those that the client has, and the brokers have not confirmed.
        given_up: bytes of the messages, if the caller has given up waiting for those.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        topic: str,
        messages: Sequence[Outgoing],
        on_end: "Callable[[_Job], None]",
    ) -> None:
        self._loop = loop
        self._topic = topic
        self._messages = messages
        self._on_end = on_end
        self._sent = self.given_up = 0
        self.waiting: set[int] = set()
        self.acknowledged: asyncio.Future[None] = loop.create_future()
        self.is_over = False

    def send_some(self, producer: KafkaProducer) -> bool:
        """Pass the next messages to the client; returns whether there are more.

        Runs in the producer's thread.
        """
        if self.is_over:
            return False
        first, some = self._sent, self._messages[self._sent : self._sent + SENT_AT_ONCE]
        try:
            futures = [self._send_one(producer, message) for message in some]
        except Exception as error:  # noqa: BLE001 (raised to the caller)
            self._settle(error)
            return False
        self._sent += len(some)
        self.waiting.update(range(first, self._sent))
        for index, future in enumerate(futures, first):
            future.add_callback(lambda _metadata, index=index: self._end(index, None))
            future.add_errback(lambda error, index=index: self._end(index, error))
        for index, future in enumerate(futures, first):
            # The client may have completed it just before our callbacks were added.
            if future.is_done:
                self._end(index, future.exception)
        return self._sent < len(self._messages)

    def _send_one(self, producer: KafkaProducer, message: Outgoing) -> Any:
        return producer.send(
            self._topic,
            value=_TOMBSTONE if message.value is None else message.value,
            key=message.key,
            headers=list(message.headers),
            timestamp_ms=message.timestamp,
        )

    def _end(self, index: int, error: Exception | None) -> None:
        self.waiting.discard(index)
        is_last = not self.waiting and (self.is_over or self._sent == len(self._messages))
        if is_last or error is not None:
            self._settle(error)

    def _settle(self, error: Exception | None) -> None:
        call_in_loop(self._loop, self._settle_in_loop, error)

    def _settle_in_loop(self, error: Exception | None) -> None:
        if not self.waiting:
            self._on_end(self)
        if self.acknowledged.done():
            return
        if error is None:
            self.acknowledged.set_result(None)
        else:
            self.acknowledged.set_exception(error)


def _failure(error: Exception, what: str = "") -> Unavailable:
    """Return what the brokers' error is to callers, its reason behind ``what``."""
    kind = Misconfigured if is_missing_right(error) else Unavailable
    return kind(what + reason_of(error))
