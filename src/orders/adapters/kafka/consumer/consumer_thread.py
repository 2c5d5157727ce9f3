"""The one thread that owns the Kafka consumer.

Commands come in by a queue, results go out by callbacks, which must not raise. The thread polls all
the time: that keeps the membership in the group. What it has read ahead waits for whoever asks;
while that is a whole batch, fetching is paused and polling goes on.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import structlog
from kafka import KafkaConsumer
from kafka.errors import UnknownTopicOrPartitionError
from kafka.structs import TopicPartition

from orders.adapters.kafka.client.consumer_client import new_consumer
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.client.topics import TopicAdmin
from orders.adapters.kafka.consumer.commits import Commits, Done
from orders.adapters.kafka.consumer.fetches import refresh_topic
from orders.adapters.kafka.consumer.offset_tracker import AckToken, OffsetTracker
from orders.adapters.kafka.consumer.rebalance_listener import RebalanceListener
from orders.adapters.kafka.consumer.record_buffer import RecordBuffer
from orders.adapters.kafka.consumer.retries import Retries
from orders.adapters.kafka.wire.record_batches import Record, UnreadableBatch
from orders.domain.intake.messages import Batch

REVOKE_WAIT = 5.0
"""Seconds that partitions are held back for batches in hand before others get them."""

_IDLE_POLL_MS = 100
_BUSY_POLL_MS = 20  # a commit is expected, and commands are looked for between polls only
_PAUSED_WAIT = 0.2
_LAST_COMMITS_WAIT = 1.0
_LAST_BATCHES_WAIT = 15.0  # well below what a member may stay away from poll() for

_log = structlog.get_logger(__name__)


class _ClosingError(Exception):
    """The thread was asked to end."""


class HealthProblem(NamedTuple):
    """Why the consumer cannot work; where known, how long it has lasted."""

    reason: str
    seconds_since_last_contact: float | None = None


class ConsumerThread(threading.Thread):
    """Owns a consumer from connecting to leaving; see the module.

    ``on_batch`` gets each batch that was requested. ``on_end`` is called when the thread has left
    the group, or given it up, with the error that made it, or None if it was asked to.
    A daemon: where the client hangs, the process can end all the same.
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
        self._consumer: KafkaConsumer = None
        self._commits: Commits
        self._listener: RebalanceListener
        self._failing: str | None = "no broker has answered yet"
        self._is_member = False
        self._last_poll = time.monotonic()

    # For other threads.

    def request_batch(self) -> None:
        """Ask for one more batch."""
        self._commands.put(self._note_request)

    def commit(self, token: AckToken, done: Done) -> None:
        """Say that a batch is processed; ``done`` gets None once that is confirmed."""
        self._commands.put(lambda: self._commits.commit(token, done))

    def ask_to_close(self) -> None:
        """Let it leave the group and end as soon as the client lets it."""
        self._is_closing.set()
        self._commands.put(lambda: None)

    def is_current(self, token: AckToken) -> bool:
        """Whether the batch's partitions are still ours, as far as is known now."""
        return self._tracker.is_current(token)

    def health_problem(self, timeout: float) -> HealthProblem | None:
        """Why it cannot do its work now, or did not for ``timeout`` seconds; None if it can."""
        if self._failing:
            return HealthProblem(self._failing)
        if not self._is_member:
            return HealthProblem("waiting for the group")
        silence = time.monotonic() - self._last_poll
        if silence > timeout:
            return HealthProblem(f"the brokers have not answered for {silence:.0f} s", silence)
        heartbeat = self._consumer._coordinator.heartbeat  # noqa: SLF001 (not public)
        silence = time.time() - max(heartbeat.last_receive, heartbeat.last_reset)
        if silence > timeout:
            return HealthProblem(f"no heartbeat has been answered for {silence:.0f} s", silence)
        return None

    def unconfirmed_since(self) -> float | None:
        """Since when, in Unix time, a commit has been on its way or refused; None: none is."""
        return self._commits.unconfirmed_since if self._consumer else None

    # The thread itself.

    def run(self) -> None:
        """See the module."""
        failure: Exception | None = None
        try:
            self._work()
        except _ClosingError:
            pass
        except Exception as error:  # noqa: BLE001 (raised to whoever receives)
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
                self._serve(_PAUSED_WAIT)  # the network has nothing for us: commands come first
                timeout = 0
            else:
                self._serve(0)
                is_busy = self._tracker.unprocessed or self._commits.in_flight
                timeout = _BUSY_POLL_MS if is_busy else _IDLE_POLL_MS
            try:
                fetched = poll(self._poll, timeout)
            except UnreadableBatch:
                self._finish_what_was_read()
                raise
            self._buffer.add(fetched)
            self._listener.raise_failure()
            self._deliver()
            self._commits.commit_what_is_left()

    def _connect(self) -> None:
        retrying = self._retries.of_connecting()
        retrying(TopicAdmin(self._settings).ensure)
        self._listener = RebalanceListener(self._revoked, self._assigned)
        consumer = retrying(new_consumer, self._settings, self._listener, **self._client_options)
        self._commits = Commits(consumer, self._tracker)
        self._consumer = consumer
        self._failing = None

    def _finish_what_was_read(self) -> None:
        """Have all that is in front of what cannot be read dealt with and committed, in time."""
        deadline = time.monotonic() + _LAST_BATCHES_WAIT
        while (
            (self._buffer.has_messages or self._tracker.unprocessed or self._commits.in_flight)
            and time.monotonic() < deadline
            and not self._is_closing.is_set()
        ):
            self._serve(0)
            self._deliver()
            self._commits.pump()
        self._commits.commit_what_is_left()

    def _leave(self) -> None:
        if self._consumer is None:
            return
        try:
            deadline = time.monotonic() + _LAST_COMMITS_WAIT
            while self._commits.in_flight and time.monotonic() < deadline:
                self._commits.pump()
            self._consumer.close(autocommit=False)
        except Exception as error:  # noqa: BLE001 (the brokers find out by themselves)
            _log.warning("leaving the group failed", error=type(error).__name__)

    # Commands.

    def _serve(self, seconds: float) -> None:
        """Do what was asked; wait up to so long for the first command."""
        try:
            command = self._commands.get(block=seconds > 0, timeout=seconds)
            while True:
                command()
                command = self._commands.get_nowait()
        except queue.Empty:
            return

    def _wait(self, seconds: float) -> None:
        """Sleep, but keep serving commands; an end of the thread ends it at once."""
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
            self._must_rewind = True  # the client has moved past records that nobody got
            self._must_start_over = isinstance(error, UnknownTopicOrPartitionError)
            raise
        self._last_poll = time.monotonic()
        self._failing = None
        self._retries.got_past(fetched)
        return fetched

    def _start_over(self) -> None:
        """After the topic was not there: it may be a new one, in which no position means anything.

        The brokers forget what was committed along with a topic that is deleted.
        """
        refresh_topic(self._consumer)
        self._begin_anew(self._consumer.assignment())

    def _rewind(self) -> None:
        positions = self._tracker.to_read()
        unread = [partition for partition, position in positions.items() if position is None]
        committed = self._consumer._coordinator.fetch_committed_offsets(unread)  # noqa: SLF001
        for partition, position in positions.items():
            if position is not None:
                self._consumer.seek(partition, position)
            elif partition in committed:
                self._consumer.seek(partition, committed[partition].offset)
            else:
                self._consumer.seek_to_beginning(partition)

    def _pause_or_resume(self, *, pause: bool) -> None:
        if pause != self._is_paused:
            self._is_paused = pause
            change = self._consumer.pause if pause else self._consumer.resume
            change(*self._consumer.assignment())

    def _note_failure(self, error: BaseException) -> None:
        self._failing = f"it fails with {type(error).__name__}"

    # Rebalances. The client calls these inside poll().

    def _revoked(self) -> None:
        """Hold the partitions until what is in hand of them is committed, but not for ever."""
        self._buffer.clear()
        deadline = time.monotonic() + REVOKE_WAIT
        while (
            (self._tracker.unprocessed or self._commits.in_flight)
            and time.monotonic() < deadline
            and not self._is_closing.is_set()
        ):
            self._serve(0)
            self._commits.pump()
        if self._tracker.unprocessed:
            _log.warning(
                "batches given up, their partitions are taken away",
                batches=self._tracker.unprocessed,
            )
        self._begin_anew(())
        self._is_member = False

    def _assigned(self, partitions: Iterable[TopicPartition]) -> None:
        self._begin_anew(partitions)
        self._is_paused = False  # the client has forgotten it, too
        self._is_member = True
        _log.info("partitions assigned", partitions=sorted(p.partition for p in partitions))

    def _begin_anew(self, partitions: Iterable[TopicPartition]) -> None:
        self._tracker.assign(partitions)
        self._commits.reset()
        self._buffer.clear()
