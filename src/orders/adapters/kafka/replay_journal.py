"""The journal of replays, in a compacted topic beside the dead letters."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from itertools import islice

import msgspec
import structlog
from kafka.errors import KafkaError

from orders.adapters.kafka.client.producer import KafkaProducerClient, Outgoing
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.client.topic_snapshot import read_present
from orders.adapters.kafka.client.topics import TopicAdmin
from orders.adapters.kafka.replay_lock import SESSION_TIMEOUT, ReplayLock
from orders.domain.errors import OrdersError, Unavailable
from orders.domain.intake.messages import Identity
from orders.domain.ports import ReplayJournal, Replays, Run

_RUN = b"unfinished-run"
"""The key under which a run is noted; no identity looks like it."""

_NOTES_AT_ONCE = 1_000

_log = structlog.get_logger(__name__)


class _Note(msgspec.Struct, frozen=True):
    """What is kept under the key of an identity."""

    replayed_at: datetime


_decode_note = msgspec.json.Decoder(_Note).decode
_decode_run = msgspec.json.Decoder(Run).decode


class KafkaReplayJournal(ReplayJournal):
    """One record an identity, the latest counts; needs nothing but Kafka.

    ``session_timeout``: seconds after which a replay that was killed no longer counts.
    """

    def __init__(
        self,
        client: KafkaProducerClient,
        settings: KafkaSettings,
        session_timeout: float = SESSION_TIMEOUT,
    ) -> None:
        self._client = client
        self._settings = settings
        self._session_timeout = session_timeout
        self._lock: ReplayLock | None = None

    async def read(self) -> Replays:
        """See ``ReplayJournal.read``; empty where there is no topic yet."""
        replayed: dict[Identity, datetime] = {}
        unfinished: Run | None = None
        topic = self._settings.replays_topic
        async with aclosing(read_present(self._settings, topic)) as records:
            async for _, record in records:
                try:
                    if record.key == _RUN:
                        unfinished = _decode_run(record.value) if record.value else None
                    else:
                        identity = Identity.parse((record.key or b"").decode())
                        replayed[identity] = _decode_note(record.value or b"").replayed_at
                except (ValueError, msgspec.DecodeError):
                    _log.warning("not a note of a replay", topic=topic, offset=record.offset)
        return Replays(replayed, unfinished)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """See ``ReplayJournal.hold``."""
        try:
            await asyncio.to_thread(TopicAdmin(self._settings).ensure_replays)
        except (KafkaError, OSError) as error:
            raise Unavailable(f"the brokers do not answer ({type(error).__name__})") from error
        lock = self._lock = ReplayLock(self._settings, self._session_timeout)
        is_clean = True
        try:
            await lock.acquire()
            is_clean = False
            yield
            is_clean = True
        finally:
            self._lock = None
            await lock.release(at_once=is_clean)

    async def begin(self, run: Run) -> None:
        """See ``ReplayJournal.begin``."""
        lock = self._held()
        lock.check()
        await self._write(Outgoing(msgspec.json.encode(run), _RUN))
        lock.check()  # writing may have taken seconds

    async def note(self, identities: Collection[Identity], at: datetime) -> None:
        """See ``ReplayJournal.note``."""
        self._held()
        value = msgspec.json.encode(_Note(at))
        for some in _chunks(identities, _NOTES_AT_ONCE):
            await self._write(*(Outgoing(value, str(identity).encode()) for identity in some))

    async def finish(self) -> None:
        """See ``ReplayJournal.finish``."""
        self._held().check()
        await self._write(Outgoing(None, _RUN))

    async def _write(self, *notes: Outgoing) -> None:
        await self._client.send(self._settings.replays_topic, notes)

    def _held(self) -> ReplayLock:
        if self._lock is None:
            raise OrdersError("the journal is not held")
        return self._lock


def _chunks(identities: Collection[Identity], size: int) -> Iterator[list[Identity]]:
    rest = iter(identities)
    while chunk := list(islice(rest, size)):
        yield chunk
