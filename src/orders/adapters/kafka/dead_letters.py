"""Writes dead letters to their topic."""

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
    """Writes dead letters with their original key, bytes, headers and timestamp."""

    def __init__(self, client: KafkaProducerClient, settings: KafkaSettings) -> None:
        self._client = client
        self._topic = settings.dlq_topic

    async def put(self, dead_letters: Sequence[DeadLetter]) -> None:
        """See ``DeadLetters.put``; gives up after the producer's ``SEND_TIMEOUT``."""
        try:
            await self._client.send(
                self._topic, [_outgoing(dead_letter) for dead_letter in dead_letters]
            )
        except TooLarge as error:
            # It must not be dropped, so it waits until an operator raises the limit.
            advice = f"raise max.message.bytes of {self._topic}"
            _log.exception("dead letter too large", advice=advice)
            raise Unavailable("a dead letter is larger than its topic accepts") from error

    async def check(self) -> None:
        """See ``Dependency.check``."""
        await self._client.check()


def _outgoing(dead_letter: DeadLetter) -> Outgoing:
    message = dead_letter.message
    return Outgoing(dead_letter.value, message.key, headers_of(dead_letter), message.timestamp)
