"""The thread that owns the Kafka consumer.

Commands arrive through a queue, results leave through callbacks, which must not raise. The thread
polls all the time, which keeps its membership in the group. Records are buffered until a batch is
requested; while a whole batch is buffered, fetching is paused and polling continues.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog
from kafka.errors import UnknownTopicOrPartitionError
from kafka.structs import TopicPartition

from orders.adapters.kafka.client.consumer_client import new_consumer
from orders.adapters.kafka.client.gaps import Gap
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.client.topics import TopicAdmin
from orders.adapters.kafka.consumer.client_retries import Retries
from orders.adapters.kafka.consumer.offset_commits import Commits, Done
from orders.adapters.kafka.consumer.offset_tracker import AckToken, OffsetTracker
from orders.adapters.kafka.consumer.rebalance_listener import RebalanceListener
from orders.adapters.kafka.consumer.record_buffer import RecordBuffer
from orders.adapters.kafka.wire.record_batches import Record, UnreadableBatch
from orders.domain.errors import OrdersError
from orders.domain.intake.messages import Batch

REVOKE_WAIT = 5.0
"""The most seconds that a rebalance waits for batches that are being processed."""

_IDLE_POLL_MS = 100
_BUSY_POLL_MS = 20  # a commit is expected, and commands are served between polls only
_PAUSED_WAIT = 0.2
_LAST_COMMITS_WAIT = 1.0
_LAST_BATCHES_WAIT = 15.0  # well below max_poll_interval_ms

_IDLE = "the group has more consumers than the topic has partitions: add partitions, or stop some"

_log = structlog.get_logger(__name__)


class _ClosingError(Exception):
    """The thread was asked to stop."""


class InstanceReplaced(OrdersError):
    """Another consumer has joined with this one's instance id; the group knows only that one."""

    code = "instance-replaced"

    def __init__(self) -> None:
        super().__init__(
            "another consumer has joined with the same ORDERS_KAFKA_INSTANCE_ID and has taken "
            "the place of this one: give each consumer its own"
        )


def revoke_wait(session_timeout: float) -> float:
    """Seconds that a rebalance waits for batches; the client sends no heartbeat meanwhile."""
    return min(REVOKE_WAIT, session_timeout / 2)


class HealthProblem(NamedTuple):
    """Why the consumer cannot work and, if known, for how long."""

    reason: str
    seconds_since_last_contact: float | None = None


class ConsumerThread(threading.Thread):
    """Owns a consumer from connecting to leaving the group; see the module.

    ``on_batch`` gets each requested batch. ``on_end`` is called when the thread has left the group
    or failed to, with the error that stopped it, or None if it was asked to stop. It is a daemon
    thread, so the process can end even if the client hangs.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        on_batch: Callable[[Batch], None],
        on_end: Callable[[Exception | None], None],
        client_options: dict[str, Any],
    ) -> None:
        super().__init__(name="kafka-consumer", daemon=True)
        self._settings = settings
        self._on_batch = on_batch
        self._on_end = on_end
        self._client_options = client_options
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._is_closing = threading.Event()
        self._tracker = OffsetTracker()
        self._buffer = RecordBuffer(self._tracker)
        self._is_requested = False
        self._is_paused = False
        self._must_rewind = False
        self._must_start_over = False
        self._retries = Retries(self._wait, self._note_failure)
        self._consumer: Any = None
        self._commits: Commits
        self._listener: RebalanceListener
        self._failing: str | None = "no broker has answered yet"
        self._is_member = False
        self._is_idle = False
        self._last_poll = time.monotonic()
        self.gaps: Mapping[int, Gap] = {}
        """By partition, the messages that were deleted before they were read, since the start."""

    # Called by other threads.

    def request_batch(self) -> None:
        """Ask for one more batch."""
        self._commands.put(self._note_request)

    def commit(self, token: AckToken, done: Done) -> None:
        """Commit a processed batch; ``done`` gets None once that is confirmed, or the error."""
        self._commands.put(lambda: self._commits.commit(token, done))

    def ask_to_close(self) -> None:
        """Ask the thread to leave the group and to end; does not wait for it."""
        self._is_closing.set()
        self._commands.put(lambda: None)

    def is_current(self, token: AckToken) -> bool:
        """Whether the partitions of this batch are still assigned to this consumer."""
        return self._tracker.is_current(token)

    def health_problem(self, timeout: float) -> HealthProblem | None:
        """Why it cannot work, or has had no contact for ``timeout`` seconds; None if it works."""
        if self._failing:
            return HealthProblem(self._failing)
        if not self._is_member:
            return HealthProblem(self._with_cause("waiting for the group"))
        seconds = time.monotonic() - self._last_poll
        if seconds > timeout:
            return HealthProblem(self._with_cause("the brokers do not answer"), seconds)
        seconds = time.time() - self._consumer.last_heartbeat
        if seconds > timeout:
            return HealthProblem(self._with_cause("no heartbeat has been answered"), seconds)
        return None

    def _with_cause(self, what: str) -> str:
        failure = self._consumer.failure
        return f"{what}: {failure.reason}" if failure else what

    def lag(self) -> dict[int, int]:
        """By partition, the messages that are not processed, as of the last fetch.

        Partitions of which the brokers have told nothing yet are left out.
        """
        lag = {}
        for partition, unprocessed_from in self._tracker.unprocessed_from().items():
            end, position = self._consumer.end(partition), unprocessed_from
            if position is None:  # nothing was read, so there is nothing in hand
                position = self._consumer.current_position(partition)
            if end is not None and position is not None:
                lag[partition.partition] = max(0, end - position)
        return lag

    def lost(self) -> dict[int, int]:
        """By partition, how many messages were deleted before they were read, since the start."""
        return {partition: gap.next - gap.first for partition, gap in self.gaps.items()}

    def unconfirmed_since(self) -> float | None:
        """See ``Commits.unconfirmed_since``."""
        return self._commits.unconfirmed_since if self._consumer else None

    # Called by the thread itself.

    def run(self) -> None:
        """Poll until asked to stop or an error cannot be retried, then leave the group."""
        failure: Exception | None = None
        try:
            self._work()
        except _ClosingError:
            pass
        except Exception as error:  # noqa: BLE001 (raised by `receive`)
            self._failing = "it has ended after an error"
            failure = error
        self._leave()
        self._on_end(failure)

    def _work(self) -> None:
        self._connect()
        poll = self._retries.of_polling()
        while not self._is_closing.is_set():
            self._pause_or_resume(pause=self._buffer.is_full)
            if self._is_paused and not self._commits.in_flight:
                self._serve(_PAUSED_WAIT)  # nothing to expect from the brokers but heartbeats
                timeout = 0
            else:
                self._serve(0)
                is_busy = self._tracker.unprocessed or self._commits.in_flight
                timeout = _BUSY_POLL_MS if is_busy else _IDLE_POLL_MS
            try:
                fetched = poll(self._poll, timeout)
            except UnreadableBatch:
                self._finish_buffered()
                raise
            self._buffer.add(fetched)
            self._listener.raise_failure()
            if self._consumer.is_replaced:
                raise InstanceReplaced
            self._deliver()
            self._commits.commit_remaining()

    def _connect(self) -> None:
        retrying = self._retries.of_connecting()
        retrying(TopicAdmin(self._settings).ensure)
        self._listener = RebalanceListener(self._revoked, self._assigned)
        consumer = retrying(
            new_consumer, self._settings, self._listener, self._jumped, **self._client_options
        )
        self._commits = Commits(consumer, self._tracker)
        self._consumer = consumer
        self._failing = None

    def _finish_buffered(self) -> None:
        """Deliver and commit the records in front of an unreadable batch, for a bounded time."""
        deadline = time.monotonic() + _LAST_BATCHES_WAIT
        while (
            (self._buffer.has_messages or self._tracker.unprocessed or self._commits.in_flight)
            and time.monotonic() < deadline
            and not self._is_closing.is_set()
        ):
            self._serve(0)
            self._deliver()
            self._commits.pump()
        self._commits.commit_remaining()

    def _leave(self) -> None:
        if self._consumer is None:
            return
        try:
            deadline = time.monotonic() + _LAST_COMMITS_WAIT
            while self._commits.in_flight and time.monotonic() < deadline:
                self._commits.pump()
            self._consumer.close(autocommit=False)
        except Exception as error:  # noqa: BLE001 (the brokers notice by the session timeout)
            _log.warning("leaving the group failed", error=type(error).__name__)

    # Commands.

    def _serve(self, seconds: float) -> None:
        """Execute queued commands; wait up to ``seconds`` for the first one."""
        try:
            command = self._commands.get(block=seconds > 0, timeout=seconds)
            while True:
                command()
                command = self._commands.get_nowait()
        except queue.Empty:
            return

    def _wait(self, seconds: float) -> None:
        """Sleep while serving commands; raises ``_ClosingError`` as soon as asked to stop."""
        deadline = time.monotonic() + seconds
        while (rest := deadline - time.monotonic()) > 0:
            self._serve(rest)
            if self._is_closing.is_set():
                raise _ClosingError

    def _note_request(self) -> None:
        self._is_requested = True
        self._deliver()

    def _deliver(self) -> None:
        if self._is_requested and (batch := self._buffer.cut()):
            self._is_requested = False
            self._on_batch(batch)

    # Reading.

    def _poll(self, timeout_ms: int) -> dict[TopicPartition, list[Record]]:
        if self._must_start_over:
            self._start_over()
            self._must_start_over = False
        if self._must_rewind:
            self._rewind()
            self._must_rewind = False
        try:
            fetched: dict[TopicPartition, list[Record]] = self._consumer.poll(timeout_ms)
        except BaseException as error:
            self._must_rewind = True  # the client has skipped records that it did not return
            self._must_start_over = isinstance(error, UnknownTopicOrPartitionError)
            raise
        self._last_poll = time.monotonic()
        self._failing = None
        self._retries.got_past(fetched)
        return fetched

    def _start_over(self) -> None:
        """Forget all positions after the topic was missing: it may have been recreated.

        Along with a deleted topic the brokers delete its committed offsets.
        """
        self._consumer.refresh_metadata()
        self._reset(self._consumer.assignment())

    def _rewind(self) -> None:
        positions = self._tracker.to_read()
        unread = [partition for partition, position in positions.items() if position is None]
        committed = self._consumer.committed_offsets(unread)
        for partition, position in positions.items():
            if position is not None:
                self._consumer.seek(partition, position)
            elif partition in committed:
                self._consumer.seek(partition, committed[partition].offset)
            else:
                self._consumer.seek_to_beginning(partition)

    def _jumped(self, partition: TopicPartition, position: int, resumed: int) -> None:
        """Report that the log does not hold ``position`` any more, or does not reach as far."""
        number = partition.partition
        if resumed < position:
            _log.warning(
                "position beyond the end", partition=number, position=position, next=resumed
            )
            return
        gap = Gap(position, resumed, datetime.now(UTC))
        _log.error(
            "messages deleted before they were read",
            partition=number,
            first=gap.first,
            next=gap.next,
        )
        self._commits.note_gap(partition, gap)
        self.gaps = {**self.gaps, number: gap.joined(self.gaps.get(number))}

    def _pause_or_resume(self, *, pause: bool) -> None:
        if pause != self._is_paused:
            self._is_paused = pause
            change = self._consumer.pause if pause else self._consumer.resume
            change(*self._consumer.assignment())

    def _note_failure(self, reason: str) -> None:
        self._failing = reason

    # Rebalances. The client calls these inside poll().

    def _revoked(self) -> None:
        """Wait until delivered batches are committed, at most ``REVOKE_WAIT`` seconds."""
        self._buffer.clear()
        deadline = time.monotonic() + revoke_wait(self._settings.session_timeout)
        while (
            (self._tracker.unprocessed or self._commits.in_flight)
            and time.monotonic() < deadline
            and not self._is_closing.is_set()
        ):
            self._serve(0)
            self._commits.pump()
        if self._tracker.unprocessed:
            _log.warning(
                "batches dropped, their partitions were revoked",
                batches=self._tracker.unprocessed,
            )
        self._reset(())
        self._is_member = False

    def _assigned(self, partitions: Iterable[TopicPartition]) -> None:
        self._reset(partitions)
        self._is_paused = False  # the client resumes them, too
        self._is_member = True
        numbers = sorted(partition.partition for partition in partitions)
        if numbers:
            _log.info("partitions assigned", partitions=numbers)
        elif not self._is_idle:
            _log.warning("no partition assigned", topic=self._settings.topic, advice=_IDLE)
        self._is_idle = not numbers

    def _reset(self, partitions: Iterable[TopicPartition]) -> None:
        self._tracker.assign(partitions)
        self._commits.reset()
        self._buffer.clear()
