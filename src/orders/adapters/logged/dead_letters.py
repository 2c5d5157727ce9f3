"""Every dead letter in the log, once it is safe: where it came from and why, none of its values."""

from collections.abc import Sequence

import structlog

from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import DeadLetters

_log = structlog.get_logger(__name__)


class LoggedDeadLetters(DeadLetters):
    """A decorator of ``DeadLetters``."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """See ``DeadLetters.put``."""
        await self._letters.put(letters)
        for letter in letters:
            origin = letter.message.origin
            _log.warning(
                "dead letter",
                code=letter.code,
                detail=letter.detail,
                topic=origin.topic,
                partition=origin.partition,
                offset=origin.offset,
                index=letter.index,
                attempt=letter.attempt,
            )
