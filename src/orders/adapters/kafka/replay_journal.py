"""The journal of replays in a compacted topic."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing

import msgspec
import structlog
from kafka.errors import KafkaError

from orders.adapters.kafka.client.failures import reason_of
from orders.adapters.kafka.client.producer import KafkaProducerClient, Outgoing
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.client.topic_snapshot import read_present
from orders.adapters.kafka.client.topics import TopicAdmin
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import Identity
from orders.domain.ports import ReplayJournal, ReplayNote

_FORMER_KEY = b"unfinished-run"
"""The key of a record that earlier versions wrote; it is not a valid identity."""

_CHUNK = 1_000

_log = structlog.get_logger(__name__)

_decode = msgspec.json.Decoder(ReplayNote).decode


class KafkaReplayJournal(ReplayJournal):
    """One record per identity, of which the latest counts."""

    def __init__(self, client: KafkaProducerClient, settings: KafkaSettings) -> None:
        self._client = client
        self._settings = settings
        self._has_topic = False

    async def read(self) -> Mapping[Identity, ReplayNote]:
        """See ``ReplayJournal.read``; empty if there is no topic yet."""
        notes: dict[Identity, ReplayNote] = {}
        topic = self._settings.replays_topic
        found = read_present(self._settings, topic, may_be_missing=True)
        async with aclosing(found) as records:
            async for _, record in records:
                if record.key == _FORMER_KEY:
                    continue
                try:
                    identity = Identity.parse((record.key or b"").decode())
                    notes[identity] = _decode(record.value or b"")
                except (ValueError, msgspec.DecodeError):
                    _log.warning("not a note of a replay", topic=topic, offset=record.offset)
        return notes

    async def note(self, notes: Mapping[Identity, ReplayNote]) -> None:
        """See ``ReplayJournal.note``; creates the topic if it is missing."""
        if not self._has_topic:
            try:
                await asyncio.to_thread(TopicAdmin(self._settings).ensure_replays)
            except (KafkaError, OSError) as error:
                raise Unavailable(reason_of(error)) from error
            self._has_topic = True
        records = [
            Outgoing(msgspec.json.encode(note), str(identity).encode())
            for identity, note in notes.items()
        ]
        for start in range(0, len(records), _CHUNK):
            chunk = records[start : start + _CHUNK]
            await self._client.send(self._settings.replays_topic, chunk)
