"""Dead letters into their topic."""

from collections.abc import Sequence

import structlog

from orders.adapters.kafka.producer import KafkaProducerClient, Outgoing
from orders.adapters.kafka.settings import KafkaSettings
from orders.domain.errors import TooLarge, Unavailable
from orders.domain.messages import DeadLetter, Headers
from orders.domain.ports import DeadLetters, Dependency

HEADER_PREFIX = "orders-"
"""Begins the names of the headers that say why and whence."""

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


def headers_of(letter: DeadLetter) -> Headers:
    """The original headers, then ours as UTF-8 text.

    An original header with a name of ours comes from an earlier life of the message as a dead
    letter: it would contradict, and is left out.
    """
    origin = letter.message.origin
    ours = {
        "error-code": letter.code,
        "error-detail": letter.detail,
        "source-topic": origin.topic,
        "source-partition": str(origin.partition),
        "source-offset": str(origin.offset),
        "source-index": str(letter.index),
        "failed-at": letter.failed_at.isoformat().replace("+00:00", "Z"),
        "attempt": str(letter.attempt),
    }
    added = tuple((HEADER_PREFIX + name, text.encode()) for name, text in ours.items())
    names = {name for name, _ in added}
    return (*(header for header in letter.message.headers if header[0] not in names), *added)


def _outgoing(letter: DeadLetter) -> Outgoing:
    message = letter.message
    return Outgoing(letter.value, message.key, headers_of(letter), message.timestamp)
