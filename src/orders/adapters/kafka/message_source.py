"""Receives batches of messages from the topic."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from orders.adapters.kafka.client.gaps import Gap
from orders.adapters.kafka.client.loop_callbacks import call_in_loop
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.consumer.consumer_thread import ConsumerThread
from orders.adapters.kafka.consumer.offset_tracker import AckToken
from orders.domain.errors import OrdersError, Unavailable
from orders.domain.intake.messages import Batch
from orders.domain.ports import Dependency, MessageSource
from orders.metrics import PARTITIONS

COMMIT_TIMEOUT = 5.0
"""Seconds within which a commit has to be confirmed."""
CLOSE_TIMEOUT = 3.0
"""Seconds that leaving the group may take; the brokers would notice by the session timeout."""
CONTACT_TIMEOUT = 8.0
"""Seconds without contact after which the brokers count as unreachable."""


class KafkaMessageSource(MessageSource, Dependency):
    """The asynchronous interface of ``ConsumerThread``.

    ``client_options`` override ours for the client's consumer.
    """

    def __init__(self, settings: KafkaSettings, **client_options: Any) -> None:
        self._settings = settings
        self._client_options = client_options
        self._thread: ConsumerThread | None = None
        self._ready: deque[Batch] = deque()
        self._is_requested = False
        self._changed = asyncio.Event()
        self._receiving = asyncio.Lock()
        self._has_left = asyncio.Event()
        self._failure: Exception | None = None

    async def open(self) -> None:
        """Start connecting in the background, with retries."""
        loop = asyncio.get_running_loop()
        self._thread = ConsumerThread(
            self._settings,
            lambda batch: call_in_loop(loop, self._arrived, batch),
            lambda error: call_in_loop(loop, self._ended, error),
            self._client_options,
        )
        self._thread.start()
        PARTITIONS.lag, PARTITIONS.lost = self._thread.lag, self._thread.lost

    async def close(self) -> None:
        """Leave the group, within ``CLOSE_TIMEOUT``; commits nothing."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        thread.ask_to_close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._has_left.wait()

    async def receive(self) -> Batch:
        """See ``MessageSource.receive``."""
        async with self._receiving:
            while True:
                while self._ready:
                    batch = self._ready.popleft()
                    if self._is_current(batch):
                        return batch
                if self._failure is not None:
                    raise self._failure
                if not self._is_requested:
                    self._is_requested = True
                    self._opened().request_batch()
                self._changed.clear()
                await self._changed.wait()

    async def commit(self, batch: Batch) -> None:
        """See ``MessageSource.commit``; fails after ``COMMIT_TIMEOUT``."""
        loop = asyncio.get_running_loop()
        confirmed: asyncio.Future[None] = loop.create_future()

        def settle(error: Exception | None) -> None:
            if confirmed.done():
                return
            if error is None:
                confirmed.set_result(None)
            else:
                confirmed.set_exception(error)

        token = batch.ack_token
        assert isinstance(token, AckToken)
        self._opened().commit(token, lambda error: call_in_loop(loop, settle, error))
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT):
                await confirmed
        except TimeoutError:
            raise Unavailable("the commit was not confirmed in time") from None

    async def check(self) -> None:
        """See ``Dependency.check``: the consumer has joined the group, and the brokers answer."""
        if self._failure is not None:
            raise Unavailable("reading has ended after an error")
        if problem := self._opened().health_problem(CONTACT_TIMEOUT):
            since = None
            if problem.seconds_since_last_contact is not None:
                since = datetime.fromtimestamp(
                    time.time() - problem.seconds_since_last_contact, UTC
                )
            raise Unavailable(problem.reason, since)

    @property
    def gaps(self) -> Mapping[int, Gap]:
        """By partition, the messages that were deleted before they were read, since the start."""
        return self._opened().gaps

    def unconfirmed_since(self, timeout: float) -> datetime | None:
        """Since when commits are unconfirmed, if for more than ``timeout`` seconds; else None."""
        since = self._opened().unconfirmed_since()
        if since is None or time.time() - since < timeout:
            return None
        return datetime.fromtimestamp(since, UTC)

    def _opened(self) -> ConsumerThread:
        if self._thread is None:
            raise OrdersError("the message source is not open")
        return self._thread

    def _is_current(self, batch: Batch) -> bool:
        token = batch.ack_token
        return isinstance(token, AckToken) and self._opened().is_current(token)

    def _arrived(self, batch: Batch) -> None:
        self._is_requested = False
        self._ready.append(batch)
        self._changed.set()

    def _ended(self, error: Exception | None) -> None:
        self._failure = error
        self._changed.set()
        self._has_left.set()
