"""A database connection with this service's settings, which is aborted if the server is dead."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from select import POLLIN, poll
from typing import Any, Literal, Self

import psycopg
from msgspec import Struct
from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format
from psycopg.rows import TupleRow

from orders.adapters.postgres.peer import Peer
from orders.domain.errors import UnsuitableDatabase

_CANCEL_SECONDS = 0.5
"""How long a server may take to confirm that it cancels a statement."""

PLANNING = {
    # Planning a look-up costs more than running it, and PostgreSQL would plan it every time.
    "plan_cache_mode": "force_generic_plan",
    # A generic plan assumes that every customer has few orders, and would collect and sort them.
    # Scanning the index in its order is as good for few, and much better for many.
    "enable_bitmapscan": "off",
    # A cached plan outlives the table size for which it was made.
    "enable_seqscan": "off",
    # Compiling costs more than running these queries.
    "jit": "off",
}
"""Planner settings of every session; see ADR 9."""


_ON_CITUS = {"plan_cache_mode": "force_custom_plan"}
"""It plans no query without its values, which tell it the shards."""

_COMPARE = """
    SELECT wanted.name, value FROM unnest(%s::text[], %s::text[]) AS wanted (name, value)
    JOIN pg_settings USING (name) WHERE setting <> value
"""

Pooler = Literal["session", "transaction"]
"""The mode of a pooler in front of the server, or ``session`` if there is none."""


class Timeouts(Struct, frozen=True):
    """Timeouts in seconds.

    ``connection``: waiting for a free connection. ``connect``: connecting, unless the DSN sets it.
    ``statement``, ``lock`` and ``idle_in_transaction``: those of the server. ``read``, ``write``
    and ``check``: the connection is aborted after that. ``liveness``: it is aborted earlier if the
    server reacts to nothing for that long; a statement that is merely slow goes on.
    """

    connection: float = 2.5
    connect: float = 5.0
    statement: float = 15.0
    lock: float = 5.0
    idle_in_transaction: float = 60.0
    read: float = 10.0
    write: float = 60.0
    check: float = 0.8
    liveness: float = 8.0


class Session(AsyncConnection[TupleRow]):
    """A connection that is aborted if the server does not answer in time.

    Server-side timeouts do not help if the server is frozen or the network drops packets, and
    neither does cancelling the task: the driver then waits for the server to confirm. Shutting the
    socket down ends any wait, in any state.
    """

    abort_reason: str | None = None
    connecting_since = answered_at = 0.0
    """Monotonic time; ``answered_at`` is the last time that it was asked whether it works."""
    citus_version: str | None = None
    """If the database has the extension Citus, so that its tables may be distributed."""
    missing_settings: Mapping[str, str] = {}
    """The settings that the role lacks, with a pooler in transaction mode."""
    on_dead_peer: Callable[[Peer], None] | None = None
    """Called if the server reacts to nothing while this session waits for it."""
    _liveness = 0.0
    _timers: tuple[asyncio.TimerHandle, ...] = ()
    _probe: asyncio.Task[None] | None = None

    @classmethod
    async def connect(  # type: ignore[override]
        cls,
        conninfo: str = "",
        *,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (immutable)
        application_name: str = "orders",
        on_failure: Callable[[Exception], None] = lambda _: None,
        pooler: Pooler | None = "session",
        **kwargs: Any,
    ) -> Self:
        """Connect with this service's settings; ``on_failure`` gets the reason if that fails.

        ``pooler`` None: look whether there is one, and take it for one in transaction mode.

        Raises:
            psycopg.Error: no connection.
            UnsuitableDatabase: the encoding of the database cannot hold every order.
        """
        if pooler != "session":
            # The next transaction may run on a connection without the prepared statement.
            kwargs["prepare_threshold"] = None
        began = time.monotonic()  # the server may read its settings at any time from now on
        try:
            given = conninfo_to_dict(conninfo)
            session = await super().connect(
                conninfo,
                autocommit=True,
                client_encoding="UTF8",
                connect_timeout=given.get("connect_timeout", max(1, round(timeouts.connect))),
                fallback_application_name=application_name,
                **kwargs,
            )
            session.connecting_since = began
            try:
                await session.configure(timeouts, pooler)
            except BaseException:
                await session.close()
                raise
        except Exception as error:
            on_failure(error)
            raise
        return session

    @property
    def peer(self) -> Peer:
        """The address of the server."""
        return Peer(self.info.hostaddr or self.info.host, self.info.port)

    @property
    def is_primary(self) -> bool:
        """Whether the server accepts writes, by what it has reported; False if it does not say."""
        return self.pgconn.parameter_status(b"in_hot_standby") == b"off"

    def abort_after(self, seconds: float | None) -> None:
        """Abort the connection in ``seconds`` from now; None cancels that."""
        for timer in self._timers:
            timer.cancel()
        if self._probe:
            self._probe.cancel()
        self._timers, self._probe = (), None
        if seconds is None:
            return
        call_later = asyncio.get_running_loop().call_later
        self._timers = (call_later(seconds, self.abort, "PostgreSQL gave no answer in time"),)
        if seconds > self._liveness > 0:
            self._timers += (call_later(self._liveness / 2, self._start_probe),)

    async def cancel_safe(self, *, timeout: float = _CANCEL_SECONDS) -> None:  # noqa: ASYNC109
        """Ask the server to cancel, as the driver does for a cancelled task, for a short time only.

        By itself the driver waits for 10 s and more, which would delay the end of the task.
        """
        limit = min(timeout, _CANCEL_SECONDS)
        self.abort_after(limit)
        await super().cancel_safe(timeout=limit)

    async def is_usable(self, *, ask: bool = False) -> bool:
        """Whether an idle session still works.

        It takes a round trip only with ``ask``, or if the server has sent anything, as it does when
        it ends the session.
        """
        if self.closed:
            return False
        watch = poll()
        watch.register(self.fileno(), POLLIN)
        if not ask and not watch.poll(0):
            return True
        try:
            await self.execute("")
        except psycopg.Error:
            return False
        self.answered_at = time.monotonic()
        return True

    def abort(self, reason: str) -> None:
        """End the connection without a message to the server; a pending call gets an error."""
        self.abort_reason = reason
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.fileno())) as sock:
            sock.shutdown(socket.SHUT_RDWR)

    def _require_utf8(self) -> None:
        encoding = (self.pgconn.parameter_status(b"server_encoding") or b"UTF8").decode()
        if encoding != "UTF8":
            raise UnsuitableDatabase(
                f"the database's encoding is {encoding}, which cannot hold every order: "
                "use a database created with ENCODING 'UTF8' TEMPLATE template0"
            )

    async def configure(self, timeouts: Timeouts, pooler: Pooler | None = "session") -> None:
        """Apply this service's settings; raises UnsuitableDatabase if its encoding is not UTF-8.

        With a pooler in transaction mode they are only compared: they would stay on connections of
        the pooler that others use.
        """
        self._require_utf8()
        self.adapters.register_loader("json", BytesLoader)
        self.answered_at = time.monotonic()
        self.abort_after(timeouts.connect)
        is_pooled = await self.is_pooled() if pooler is None else pooler == "transaction"
        settings = _settings(timeouts)
        if not is_pooled:
            await self._apply(settings)
        cursor = await self.execute("SELECT extversion FROM pg_extension WHERE extname = 'citus'")
        self.citus_version = next(iter(await cursor.fetchone() or ()), None)
        if self.citus_version:
            settings |= _ON_CITUS
        if is_pooled:
            cursor = await self.execute(_COMPARE, [list(settings), list(settings.values())])
            self.missing_settings = dict(await cursor.fetchall())
        elif self.citus_version:
            await self._apply(_ON_CITUS)
        self.abort_after(None)
        self._liveness = timeouts.liveness

    async def is_pooled(self) -> bool:
        """Whether a pooler is in between: it makes up the process id that it gives to its clients.

        Works with any statement_timeout, and leaves no setting behind.
        """
        cursor = await self.execute(
            b"BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_backend_pid(); COMMIT"
        )
        while cursor.description is None and cursor.nextset():
            pass
        return await cursor.fetchone() != (self.info.backend_pid,)

    async def _apply(self, settings: Mapping[str, str]) -> None:
        # One round trip, in which each is a statement of its own: the statement_timeout that holds
        # before the first of them may be too short for anything longer.
        text = "; ".join(f"SET {name} = '{value}'" for name, value in settings.items())
        await self.execute(text.encode())

    def _start_probe(self) -> None:
        self._probe = asyncio.get_running_loop().create_task(self._probe_peer())

    async def _probe_peer(self) -> None:
        """Tell a dead server from a slow statement: only the latter still reacts to others."""
        if not await self.peer.reacts(self._liveness / 2):
            if self.on_dead_peer:
                self.on_dead_peer(self.peer)
        elif self._timers:
            again = asyncio.get_running_loop().call_later(self._liveness / 2, self._start_probe)
            self._timers += (again,)


def _settings(timeouts: Timeouts) -> dict[str, str]:
    seconds = {
        "statement_timeout": timeouts.statement,
        "lock_timeout": timeouts.lock,
        "idle_in_transaction_session_timeout": timeouts.idle_in_transaction,
    }
    milliseconds = {name: f"{round(value * 1000)}" for name, value in seconds.items()}
    return milliseconds | PLANNING | {"TimeZone": "UTC"}


class BytesLoader(Loader):
    """Loads JSON undecoded."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        """Copy the bytes."""
        return bytes(data)
