"""A connection as this service uses it: bounded in time, in UTC, JSON left as bytes."""

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
"""How long a server may take to confirm that it cancels what nobody waits for any more."""


class Session(AsyncConnection[TupleRow]):
    """A connection that can give up on a server which does not answer.

    Server-side timeouts do not help when the server is frozen or the network swallows packets, and
    cancelling the task does not either: the driver then waits for the server to confirm. Hanging up
    ends any wait, in any state.
    """

    gave_up = False
    began = 0.0
    """When it was ready for use, in monotonic seconds."""
    _timer: asyncio.TimerHandle | None = None

    def give_up_after(self, seconds: float | None) -> None:
        """Hang up in ``seconds`` from now unless told otherwise meanwhile; None: never."""
        if self._timer:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = None if seconds is None else loop.call_later(seconds, self._hang_up)

    async def cancel_safe(self, *, timeout: float = _CANCEL_SECONDS) -> None:  # noqa: ASYNC109
        """Ask the server to cancel, as the driver does for a cancelled task; then hang up.

        By itself the driver waits 10 s and more for a server that does not answer, and who was
        cancelled is to go on with its end.
        """
        limit = min(timeout, _CANCEL_SECONDS)
        self.give_up_after(limit)
        await super().cancel_safe(timeout=limit)

    async def is_usable(self) -> bool:
        """Whether an idle session still works; costs a round trip only if the server said a word.

        It says one when it ends the session: then the first query would fail.
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

    def _hang_up(self) -> None:
        self.gave_up = True
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


class BytesLoader(Loader):
    """JSON as it comes, undecoded."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        """The bytes as they are."""
        return bytes(data)
