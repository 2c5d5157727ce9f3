"""Starts the requests of many connections, a few in each turn of the event loop."""

import asyncio
from collections.abc import Coroutine, Hashable
from typing import Any

MOST_IN_A_TURN = 32
"""With a millisecond or two for each, health checks have their answers in time."""


class Starts:
    """Starts tasks, which are in ``tasks`` until they end.

    Thousands of connections may send a request at the same moment. If all were served in one turn,
    no timer and no server would be heeded for seconds: health would find the process stuck, and its
    checks would find servers down that are up.
    """

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[Hashable, Coroutine[Any, Any, None]] = {}
        self._started = 0  # in this turn

    def start(self, owner: Hashable, request: Coroutine[Any, Any, None]) -> None:
        """Start a request, or have it wait; each ``owner`` has one that waits at most."""
        if self._started == MOST_IN_A_TURN:
            self._waiting[owner] = request
            return
        loop = asyncio.get_running_loop()
        if not self._started:
            loop.call_soon(self._next_turn)
        self._started += 1
        task = loop.create_task(request)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def forget(self, owner: Hashable) -> None:
        """Drop the request of ``owner`` if it waits: nobody would take the response."""
        request = self._waiting.pop(owner, None)
        if request is not None:
            request.close()

    def _next_turn(self) -> None:
        self._started = 0
        while self._waiting and self._started < MOST_IN_A_TURN:
            owner = next(iter(self._waiting))
            self.start(owner, self._waiting.pop(owner))
