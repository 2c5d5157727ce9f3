"""A database connection that can be aborted, and a loader that leaves JSON as bytes."""

import asyncio
import os
import socket
from contextlib import suppress
from select import POLLIN, poll

import psycopg
from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.rows import TupleRow

_CANCEL_SECONDS = 0.5
"""How long a server may take to confirm that it cancels a statement."""


class Session(AsyncConnection[TupleRow]):
    """A connection that is aborted if the server does not answer in time.

    Server-side timeouts do not help if the server is frozen or the network drops packets, and
    neither does cancelling the task: the driver then waits for the server to confirm. Shutting the
    socket down ends any wait, in any state.
    """

    was_aborted = False
    ready_since = 0.0
    """Monotonic time."""
    _timer: asyncio.TimerHandle | None = None

    def abort_after(self, seconds: float | None) -> None:
        """Abort the connection in ``seconds`` from now; None cancels that."""
        if self._timer:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = None if seconds is None else loop.call_later(seconds, self._abort)

    async def cancel_safe(self, *, timeout: float = _CANCEL_SECONDS) -> None:  # noqa: ASYNC109
        """Ask the server to cancel, as the driver does for a cancelled task, for a short time only.

        By itself the driver waits for 10 s and more, which would delay the end of the task.
        """
        limit = min(timeout, _CANCEL_SECONDS)
        self.abort_after(limit)
        await super().cancel_safe(timeout=limit)

    async def is_usable(self) -> bool:
        """Whether an idle session still works; a round trip only if the server has sent anything.

        It sends a message when it ends the session; the next query would fail.
        """
        if self.closed:
            return False
        watch = poll()
        watch.register(self.fileno(), POLLIN)
        if not watch.poll(0):
            return True
        try:
            await self.execute("")
        except psycopg.Error:
            return False
        return True

    def _abort(self) -> None:
        self.was_aborted = True
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.fileno())) as sock:
            sock.shutdown(socket.SHUT_RDWR)


class BytesLoader(Loader):
    """Loads JSON undecoded."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        """Copy the bytes."""
        return bytes(data)
