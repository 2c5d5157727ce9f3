"""Logs dead letters, without any of their values, when they are stored."""

import time
from collections.abc import Callable, Sequence
from itertools import groupby, islice
from operator import attrgetter

import structlog

from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import DeadLetters
from orders.log_budget import LogBudget

MAX_LINES_OF_MESSAGE = 10
"""Dead letters of a message that are logged one by one; it may have half a million of them."""

_log = structlog.get_logger(__name__)


class LoggedDeadLetters(DeadLetters):
    """A decorator of ``DeadLetters`` that logs; ``clock`` is in seconds.

    What it leaves out is in the sums that are logged of stored batches.
    """

    def __init__(
        self, dead_letters: DeadLetters, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._dead_letters = dead_letters
        # A small batch of records may have a million bad messages.
        self._budget = LogBudget(_log, "further dead letters are not logged for a while", clock)

    async def put(self, dead_letters: Sequence[DeadLetter]) -> None:
        """See ``DeadLetters.put``."""
        await self._dead_letters.put(dead_letters)
        for origin, of_message in groupby(dead_letters, attrgetter("message.origin")):
            place = {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset}
            for dead_letter in islice(of_message, MAX_LINES_OF_MESSAGE):
                if not self._budget.take():
                    return
                _log.warning(
                    "dead letter",
                    code=dead_letter.code,
                    detail=dead_letter.detail,
                    **place,
                    index=dead_letter.index,
                    attempt=dead_letter.attempt,
                )
            if (more := sum(1 for _ in of_message)) and self._budget.take():
                _log.warning("more dead letters of a message", **place, count=more)
