"""One replay at a time: a consumer group in which a single partition goes to whoever has it.

The brokers keep the list of who is alive: one that ends says goodbye, one that was killed is
struck off after the session timeout. Joining tells which it is, since it waits until all others
have come back or were struck off.
"""

import asyncio
import threading
import time
from collections.abc import Iterable, Mapping
from math import isinf
from typing import Any, Literal

import structlog
from kafka import KafkaConsumer
from kafka.cluster import ClusterMetadata
from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from kafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from kafka.structs import TopicPartition

from orders.adapters.kafka.client.settings import KafkaSettings, client_options
from orders.adapters.kafka.consumer.rebalance_listener import RebalanceListener
from orders.adapters.kafka.lease import Lease
from orders.domain.errors import ReplayInProgress, Unavailable

SESSION_TIMEOUT = 10.0
"""Seconds after which one that was killed no longer counts."""
ACQUIRE_TIMEOUT = SESSION_TIMEOUT + 20.0
"""Seconds after which waiting for the brokers' word is given up."""

_POLL_MS = 100
_HEARTBEAT_MS = 300
_TELL_AFTER = 1.5
_CLOSE_TIMEOUT = 3.0

_log = structlog.get_logger(__name__)

State = Literal["joining", "held", "others", "failed"]


class ReplayLock:
    """The asynchronous face of the thread that stays in the group."""

    def __init__(self, settings: KafkaSettings, session_timeout: float = SESSION_TIMEOUT) -> None:
        self._thread = _Member(settings, session_timeout)
        self._lease = session_timeout / 2  # of what the brokers grant after each sign of life

    async def acquire(self) -> None:
        """Wait until it is ours.

        Raises:
            ReplayInProgress: somebody else has it, and is alive.
            Unavailable: the brokers do not say.
        """
        self._thread.start()
        begun = time.monotonic()
        has_told = False
        while self._thread.is_joining:
            waited = time.monotonic() - begun
            if waited > ACQUIRE_TIMEOUT:
                raise Unavailable("the brokers did not say in time whether another replay runs")
            if waited > _TELL_AFTER and not has_told:
                has_told = True
                _log.info(
                    "waiting for a replay that was cut off to time out", at_most=ACQUIRE_TIMEOUT
                )
            await asyncio.sleep(0.02)
        self.check()

    def check(self) -> None:
        """Return if it is ours, now and for a few seconds more.

        Raises:
            ReplayInProgress: it is somebody else's.
            Unavailable: the brokers have not said so lately.
        """
        if self._thread.state == "others":
            raise ReplayInProgress("another replay is running")
        if self._thread.state == "failed":
            raise Unavailable(f"the brokers let no replay begin ({self._thread.failure})")
        if self._thread.lease.silence > self._lease:
            raise Unavailable("the brokers do not answer")

    async def release(self, *, at_once: bool) -> None:
        """Give it up: at once, or after the session timeout."""
        self._thread.end(say_goodbye=at_once)
        await asyncio.to_thread(self._thread.join, _CLOSE_TIMEOUT)


class _Member(threading.Thread):
    """A member of the group. A daemon: where the client hangs, the process can end all the same."""

    def __init__(self, settings: KafkaSettings, session_timeout: float) -> None:
        super().__init__(name="kafka-replay-lock", daemon=True)
        self._settings = settings
        self._session_timeout_ms = int(session_timeout * 1000)
        self._is_ending = threading.Event()
        self._says_goodbye = True
        self._consumer: KafkaConsumer = None
        self.state: State = "joining"
        self.failure = ""
        self.lease = Lease()

    @property
    def is_joining(self) -> bool:
        """Whether it is still to be seen who has it; who is let in waits for a heartbeat, too."""
        return self.state == "joining" or (self.state == "held" and isinf(self.lease.silence))

    def end(self, *, say_goodbye: bool) -> None:
        """Have the thread end soon."""
        self._says_goodbye = say_goodbye
        self._is_ending.set()

    def claims(self) -> bool:
        """Whether it has the lock; not if the brokers have struck it off meanwhile.

        Then it has lost it for good: somebody else may have come, replayed and gone since.
        """
        is_known = bool(self._consumer._coordinator._generation.member_id)  # noqa: SLF001
        if self.state == "held" and not is_known:
            self.state = "others"
        return self.state == "held"

    def run(self) -> None:
        """Join, and stay."""
        try:
            self._stay()
        except Exception as error:  # noqa: BLE001 (told to whoever asks for the lock)
            self.failure = type(error).__name__
            self.state = "failed"
        finally:
            if self._consumer is not None:
                coordinator = self._consumer._coordinator  # noqa: SLF001 (only now it is known)
                coordinator.config["leave_group_on_close"] = self._says_goodbye
                self._consumer.close(autocommit=False)

    def _stay(self) -> None:
        topic = self._settings.replays_topic
        self._consumer = KafkaConsumer(
            **client_options(self._settings),
            group_id=topic,
            enable_auto_commit=False,
            session_timeout_ms=self._session_timeout_ms,
            heartbeat_interval_ms=_HEARTBEAT_MS,
            max_poll_interval_ms=30_000,
            request_timeout_ms=40_000,
            partition_assignment_strategy=[_HolderFirst(self, topic)],
        )
        self.lease.watch(self._consumer._coordinator)  # noqa: SLF001 (told nowhere else)
        listener = RebalanceListener(lambda: None, self._assigned)
        self._consumer.subscribe([topic], listener=listener)
        while not self._is_ending.is_set():
            self._consumer.poll(_POLL_MS)
            listener.raise_failure()

    def _assigned(self, partitions: Iterable[TopicPartition]) -> None:
        assigned = list(partitions)
        self._consumer.pause(*assigned)  # nothing is read here
        is_ours = bool(assigned) and self.state in ("joining", "held")
        self.state = "held" if is_ours else "others"


class _HolderFirst(AbstractPartitionAssignor):  # type: ignore[misc]
    """Gives the one partition to the member that says it has it, else to the first.

    Assignors that do not know who has it would hand it to a newcomer in the middle of a run.
    """

    name = "replay-holder"
    version = 0

    def __init__(self, member: _Member, topic: str) -> None:
        self._member = member
        self._topic = topic

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What this member tells of itself whenever it joins."""
        claim = _HOLDS if self._member.claims() else b""
        return ConsumerProtocolMemberMetadata(self.version, list(topics), claim)

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, Any]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Who gets what, on the member that decides for all."""
        del cluster
        holder = min(members, key=lambda name: (members[name].user_data != _HOLDS, name))
        return {
            name: ConsumerProtocolMemberAssignment(
                self.version, [(self._topic, [0])] if name == holder else [], b""
            )
            for name in members
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing to remember."""


_HOLDS = b"holds"
