"""Logs each dead letter, without any of its values, when it is stored."""

from collections.abc import Sequence

import structlog

from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import DeadLetters

_log = structlog.get_logger(__name__)


class LoggedDeadLetters(DeadLetters):
    """A decorator of ``DeadLetters`` that logs."""

    def __init__(self, dead_letters: DeadLetters) -> None:
        self._dead_letters = dead_letters

    async def put(self, dead_letters: Sequence[DeadLetter]) -> None:
        """See ``DeadLetters.put``."""
        await self._dead_letters.put(dead_letters)
        for dead_letter in dead_letters:
            origin = dead_letter.message.origin
            _log.warning(
                "dead letter",
                code=dead_letter.code,
                detail=dead_letter.detail,
                topic=origin.topic,
                partition=origin.partition,
                offset=origin.offset,
                index=dead_letter.index,
                attempt=dead_letter.attempt,
            )
