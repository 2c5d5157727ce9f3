"""Logs dead letters, without any of their values, when they are stored."""

import time
from collections.abc import Callable, Sequence
from itertools import groupby, islice
from operator import attrgetter

import structlog

from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import DeadLetters

MAX_LINES_OF_MESSAGE = 10
"""Dead letters of a message that are logged one by one; it may have half a million of them."""
MAX_LINES = 100
"""Lines in each ``INTERVAL``: a small batch of records may have a million bad messages."""
INTERVAL = 10.0

_log = structlog.get_logger(__name__)


class LoggedDeadLetters(DeadLetters):
    """A decorator of ``DeadLetters`` that logs; ``clock`` is in seconds.

    What it leaves out is in the sums that are logged of stored batches.
    """

    def __init__(
        self, dead_letters: DeadLetters, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._dead_letters = dead_letters
        self._clock = clock
        self._until = float("-inf")
        self._lines = 0
        self._is_silent = False

    async def put(self, dead_letters: Sequence[DeadLetter]) -> None:
        """See ``DeadLetters.put``."""
        await self._dead_letters.put(dead_letters)
        for origin, of_message in groupby(dead_letters, attrgetter("message.origin")):
            if not self._may_log():
                return
            place = {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset}
            for dead_letter in islice(of_message, MAX_LINES_OF_MESSAGE):
                _log.warning(
                    "dead letter",
                    code=dead_letter.code,
                    detail=dead_letter.detail,
                    **place,
                    index=dead_letter.index,
                    attempt=dead_letter.attempt,
                )
                self._lines += 1
            if more := sum(1 for _ in of_message):
                _log.warning("more dead letters of a message", **place, count=more)
                self._lines += 1

    def _may_log(self) -> bool:
        now = self._clock()
        if now >= self._until:
            self._until, self._lines, self._is_silent = now + INTERVAL, 0, False
        if self._lines < MAX_LINES:
            return True
        if not self._is_silent:
            self._is_silent = True
            seconds = round(self._until - now, 1)
            _log.warning("further dead letters are not logged for a while", seconds=seconds)
        return False
