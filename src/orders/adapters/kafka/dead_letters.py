"""Writes dead letters to their topic."""

import asyncio
from collections.abc import Iterator, Sequence

import structlog

from orders.adapters.kafka.client.producer import (
    BATCH_BYTES,
    KafkaProducerClient,
    MessageRefused,
    Outgoing,
)
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.domain.dead_letters.headers import headers_of, substitute_key, without_content
from orders.domain.errors import TooLarge, Unavailable
from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import DeadLetters, Dependency

BYTES_AT_ONCE = 16 * 1024 * 1024
"""Bytes that are sent in one call, unless a single dead letter is larger: each call has a bounded
time, and every element of an array carries all headers of its message."""

_MAX_TIMESTAMP = 1 << 62
"""Far beyond what any topic takes. Nearer to the bounds of 64 bits the client fails at differences
within a batch."""

_Chunk = list[tuple[DeadLetter, Outgoing]]

_log = structlog.get_logger(__name__)


class KafkaDeadLetters(DeadLetters, Dependency):
    """Writes dead letters with their original key, bytes and headers.

    They have the original timestamp, too, unless retention of the topic is limited: it goes by
    timestamps, so those of old messages would be deleted at once.
    """

    def __init__(self, client: KafkaProducerClient, settings: KafkaSettings) -> None:
        self._client = client
        self._topic = settings.dlq_topic
        self._keeps_timestamps = settings.dlq_retention_ms < 0

    async def put(self, dead_letters: Sequence[DeadLetter]) -> None:
        """See ``DeadLetters.put``; each chunk has the producer's ``SEND_TIMEOUT``."""
        for chunk in self._chunks(dead_letters):
            try:
                await self._put_chunk(chunk)
            except TooLarge as error:
                if not self._client.limits.are_suitable:
                    # It would fit if the topic were as asked for, so it waits for an operator.
                    advice = f"raise max.message.bytes of {self._topic}"
                    _log.exception("dead letter too large", advice=advice)
                    raise Unavailable("a dead letter is larger than its topic accepts") from error
                await self._put_one_by_one(chunk)

    async def _put_one_by_one(self, chunk: _Chunk) -> None:
        """Put those without their content that do not fit, to hold up none.

        Brokers judge what is compressed. A sender whose codec is better than ours can always make a
        message that its topic takes and that of dead letters does not.
        """
        # The client batches them anyway, and brokers refuse a batch as a whole.
        fits = [False] if len(chunk) == 1 else await asyncio.gather(*map(self._fits, chunk))
        for (dead_letter, message), did_fit in zip(chunk, fits, strict=True):
            had_neighbours = message.size <= BATCH_BYTES
            if not (did_fit or (had_neighbours and await self._fits((dead_letter, message)))):
                omitted = without_content(dead_letter)
                await self._put_chunk([(omitted, self._outgoing(omitted))])
                origin = dead_letter.message.origin
                _log.warning(
                    "dead letter without its content",
                    topic=origin.topic,
                    partition=origin.partition,
                    offset=origin.offset,
                    index=dead_letter.index,
                )

    async def _fits(self, one: tuple[DeadLetter, Outgoing]) -> bool:
        try:
            await self._put_chunk([one])
        except TooLarge:
            return False
        return True

    async def _put_chunk(self, chunk: _Chunk) -> None:
        try:
            await self._client.send(self._topic, [message for _, message in chunk])
        except MessageRefused:
            # Brokers refuse a batch as a whole and do not say which message it was. What they may
            # object to can be read from the headers again, so all of them can do without.
            await self._client.send(
                self._topic, [_unobjectionable(dead_letter) for dead_letter, _ in chunk]
            )

    async def check(self) -> None:
        """See ``Dependency.check``."""
        await self._client.check()

    def _chunks(self, dead_letters: Sequence[DeadLetter]) -> Iterator[_Chunk]:
        chunk: _Chunk = []
        size = 0
        for dead_letter in dead_letters:
            message = self._outgoing(dead_letter)
            size += message.size
            if chunk and size > BYTES_AT_ONCE:
                yield chunk
                chunk, size = [], message.size
            chunk.append((dead_letter, message))
        if chunk:
            yield chunk

    def _outgoing(self, dead_letter: DeadLetter) -> Outgoing:
        message = dead_letter.message
        is_kept = self._keeps_timestamps and 0 <= message.timestamp < _MAX_TIMESTAMP
        timestamp = message.timestamp if is_kept else None
        return Outgoing(dead_letter.value, message.key, headers_of(dead_letter), timestamp)


def _unobjectionable(dead_letter: DeadLetter) -> Outgoing:
    key = dead_letter.message.key
    key = substitute_key(dead_letter) if key is None else key
    return Outgoing(dead_letter.value, key, headers_of(dead_letter))
