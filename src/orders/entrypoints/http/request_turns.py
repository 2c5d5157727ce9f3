"""Bounds what a process does for requests in a turn of its event loop."""

import asyncio
from collections.abc import Callable

MOST_IN_A_TURN = 8
"""With a millisecond or two for each: few connections are accepted in a turn."""
READS_PER_REQUEST = 16
"""Reads of cached orders that take about as long as another request."""
READS_PER_LOOK_UP = 4
"""Reads of cached orders that take about as long as one of an order that is not."""
MOST_READS = MOST_IN_A_TURN * READS_PER_REQUEST
"""In a turn, with all else that counts as such reads."""


class RequestTurns:
    """Lets connections wait while many of them begin requests, or send small parts of them.

    Thousands may send a request at the same moment, and a single one a body in a million chunks. If
    all were served in one turn, no timer and no server would be heeded for seconds: health would
    find the process stuck, and its checks would find servers down that are up.

    Attributes:
        is_over: whether what arrives has to wait for a later turn.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._begun = 0  # in this turn, in reads of cached orders
        self._waiting: dict[Callable[[], None], None] = {}

    def begin(self, reads: int = READS_PER_REQUEST) -> None:
        """Count a request that begins, or a part of one that arrives.

        ``reads`` is its cost in reads of cached orders.
        """
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._next)
        self._begun += reads
        self.is_over = self._begun >= MOST_READS

    def wait(self, go_on: Callable[[], None]) -> None:
        """Call ``go_on`` in a later turn; who came first goes first."""
        self._waiting[go_on] = None

    def forget(self, go_on: Callable[[], None]) -> None:
        """Do not call it, if it waits."""
        self._waiting.pop(go_on, None)

    def _next(self) -> None:
        # What was more than a turn may take, as large responses are, counts in the next ones.
        self._begun = max(0, self._begun - MOST_READS)
        self.is_over = self._begun >= MOST_READS
        if self._begun:
            asyncio.get_running_loop().call_soon(self._next)
        while self._waiting and not self.is_over:
            go_on = next(iter(self._waiting))
            del self._waiting[go_on]
            go_on()
