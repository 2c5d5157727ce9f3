"""Dead letters into their topic."""

from collections.abc import Sequence

import structlog

from orders.adapters.kafka.client.producer import KafkaProducerClient, Outgoing
from orders.adapters.kafka.client.settings import KafkaSettings
from orders.domain.dead_letters.headers import headers_of
from orders.domain.errors import TooLarge, Unavailable
from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import DeadLetters, Dependency

_log = structlog.get_logger(__name__)


class KafkaDeadLetters(DeadLetters, Dependency):
    """Writes each letter with its original key, bytes, headers and timestamp."""

    def __init__(self, client: KafkaProducerClient, settings: KafkaSettings) -> None:
        self._client = client
        self._topic = settings.dlq_topic

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """See ``DeadLetters.put``; gives up after the producer's ``SEND_TIMEOUT``."""
        try:
            await self._client.send(self._topic, [_outgoing(letter) for letter in letters])
        except TooLarge as error:
            # Nobody may drop it, so it waits until an operator has raised the topic's limit.
            advice = f"raise max.message.bytes of {self._topic}"
            _log.exception("dead letter too large", advice=advice)
            raise Unavailable("a dead letter is larger than its topic takes") from error

    async def check(self) -> None:
        """See ``Dependency.check``."""
        await self._client.check()


def _outgoing(letter: DeadLetter) -> Outgoing:
    message = letter.message
    return Outgoing(letter.value, message.key, headers_of(letter), message.timestamp)
