"""Sends dead letters back to the topic that they came from."""

import asyncio
from collections.abc import Collection, Sequence

from orders.adapters.kafka.client.producer import KafkaProducerClient, Outgoing
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.domain.dead_letters.headers import headers_of_replay
from orders.domain.errors import TooLarge
from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import ReplayTarget


class KafkaReplayTarget(ReplayTarget):
    """Sends at least once: a message whose acknowledgement is lost is sent again."""

    def __init__(self, client: KafkaProducerClient, settings: KafkaSettings) -> None:
        self._client = client
        self._settings = settings

    @property
    def topic(self) -> str:
        """See ``ReplayTarget.topic``."""
        return self._settings.topic

    async def send(self, dead_letters: Sequence[DeadLetter]) -> Collection[DeadLetter]:
        """See ``ReplayTarget.send``; gives up after the producer's ``SEND_TIMEOUT``."""
        # One call per message, to know the outcome of each; the client batches them anyway.
        accepted = await asyncio.gather(*map(self._accepts, dead_letters))
        refused = [one for one, taken in zip(dead_letters, accepted, strict=True) if not taken]
        # A batch is refused as a whole, so each is tried again alone.
        return [one for one in refused if not await self._accepts(one)]

    async def _accepts(self, dead_letter: DeadLetter) -> bool:
        headers = headers_of_replay(dead_letter)
        message = Outgoing(dead_letter.as_message, dead_letter.message.key, headers)
        try:
            await self._client.send(self.topic, [message])
        except TooLarge:
            return False
        return True
