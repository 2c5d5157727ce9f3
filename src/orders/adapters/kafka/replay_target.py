"""Dead letters back into the topic that they came from."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import aclosing

import structlog

from orders.adapters.kafka.client.producer import KafkaProducerClient, Outgoing
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.client.topic_snapshot import extents, read_present
from orders.domain.errors import TooLarge
from orders.domain.intake.messages import DeadLetter, Identity
from orders.domain.letter_headers import headers_of_replay, replayed_identity
from orders.domain.ports import Mark, ReplayTarget

_log = structlog.get_logger(__name__)


class KafkaReplayTarget(ReplayTarget):
    """Sends through a producer that does not try again by itself.

    A message whose acknowledgement got lost would be sent a second time by that.
    """

    def __init__(self, client: KafkaProducerClient, settings: KafkaSettings) -> None:
        self._client = client
        self._settings = settings

    @property
    def topic(self) -> str:
        """See ``ReplayTarget.topic``."""
        return self._settings.topic

    async def mark(self) -> Mark:
        """See ``ReplayTarget.mark``."""
        found = await extents(self._settings, self.topic)
        return {number: extent.end for number, extent in found.items()}

    async def replayed_since(self, mark: Mark) -> AsyncIterator[Identity]:
        """See ``ReplayTarget.replayed_since``."""
        for partition, extent in (await extents(self._settings, self.topic)).items():
            if mark.get(partition, extent.start) < extent.start:
                # Nobody can tell what they were: they may be replayed once more.
                _log.warning("messages deleted before they were looked for", partition=partition)
        async with aclosing(read_present(self._settings, self.topic, mark)) as records:
            async for _, record in records:
                if identity := replayed_identity(record.headers):
                    yield identity

    async def send(self, letters: Sequence[DeadLetter]) -> Collection[Identity]:
        """See ``ReplayTarget.send``; gives up after the producer's ``SEND_TIMEOUT``."""
        # Each message as a call of its own: what became of each is known, and the client still
        # sends them in common batches.
        takes = await asyncio.gather(*(self._takes(letter) for letter in letters))
        refused = [letter for letter, taken in zip(letters, takes, strict=True) if not taken]
        # A batch is refused as a whole, so it may have been its neighbour that was too large.
        return {letter.identity for letter in refused if not await self._takes(letter)}

    async def _takes(self, letter: DeadLetter) -> bool:
        message = Outgoing(letter.as_message, letter.message.key, headers_of_replay(letter))
        try:
            await self._client.send(self.topic, [message])
        except TooLarge:
            return False
        return True
