"""The connection pool; it also translates driver errors into those of the domain."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from weakref import WeakSet

import psycopg
import structlog
from psycopg.errors import FeatureNotSupported, ReadOnlySqlTransaction
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from orders.adapters.postgres.access import READ, WRITE, require_access
from orders.adapters.postgres.connect_errors import SILENT, ConnectFailure, connect_failure
from orders.adapters.postgres.errors import is_access_fault, sanitize, translated
from orders.adapters.postgres.peer import Peer
from orders.adapters.postgres.schema import newer_schema
from orders.adapters.postgres.session import Pooler, Session, Timeouts
from orders.domain.errors import (
    Degraded,
    Misconfigured,
    OrdersError,
    Unavailable,
    UnsuitableDatabase,
)
from orders.domain.ports import Dependency
from orders.metrics import POOL, POOL_WAITING

_RECONNECT_SECONDS = 1.0
"""How long the pool retries by itself; after that, the next caller triggers an attempt. Its backoff
doubles from 1 s, so it could otherwise sleep for minutes after the server has recovered."""

_WAIT_WHILE_UNREACHABLE = 0.2
"""Seconds to wait for a connection if there is none, and the last attempt to connect failed."""

_CLOSE_SECONDS = 1.0
"""How long closing waits for attempts to connect to a server that does not answer."""

_log = structlog.get_logger(__name__)


class _AllBusy(Unavailable):
    """All connections of the pool are in use."""


class PostgresDatabase(Dependency):
    """A PostgreSQL database with a connection pool. Connects in the background once opened.

    ``dsn``: libpq URL or key=value string. ``pool_max``: most connections at once.
    ``application_name``: the name in the server's views, unless the DSN sets it. ``pooler``: the
    mode of a pooler in front of the server. ``name``: the server's in the log and in metrics.
    """

    def __init__(
        self,
        dsn: str,
        pool_max: int,
        application_name: str = "orders",
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (immutable)
        *,
        pooler: Pooler = "session",
        name: str = "PostgreSQL",
    ) -> None:
        self._name = name
        self.timeouts = timeouts
        self._sessions = WeakSet[Session]()
        self._connect_failure: ConnectFailure | UnsuitableDatabase | None = None
        self._reported: str | None = None
        self._reported_unusable: str | None = None
        self._reported_engine: tuple[str | None, str] = None, ""
        self._was_read_only = False
        self._doubted_at = 0.0
        # Both libraries log addresses, user names and texts of the server. The errors that callers
        # get, and the health checks, say what is needed.
        for library in ("psycopg", "psycopg.pool"):
            logging.getLogger(library).setLevel(logging.CRITICAL)
        options = {"timeouts": timeouts, "application_name": application_name, "pooler": pooler}
        self._connect_besides = partial(Session.connect, dsn, **options)  # type: ignore[arg-type]
        self._pool = AsyncConnectionPool(
            dsn,
            connection_class=Session,
            kwargs={**options, "on_failure": self._note_connect_failure},
            min_size=1,
            max_size=pool_max,
            open=False,
            configure=self._note_connected,
            timeout=timeouts.connection,
            reconnect_timeout=_RECONNECT_SECONDS,
            name=application_name,
        )

    async def open(self) -> None:
        """Start connecting; returns at once, even if the server is down."""
        self._report_connections()
        await self._pool.open(wait=False)

    def _report_connections(self) -> None:
        def number(name: str) -> Callable[[], float]:
            return lambda: self._pool.get_stats().get(name, 0)

        size, idle = number("pool_size"), number("pool_available")
        POOL.labels(self._name, "idle").set_function(idle)
        POOL.labels(self._name, "used").set_function(lambda: size() - idle())
        POOL_WAITING.labels(self._name).set_function(number("requests_waiting"))

    async def close(self) -> None:
        """Close all connections, within a second; it cannot be opened again."""
        await self._pool.close(_CLOSE_SECONDS)

    async def check(self, rights: Sequence[str] = READ) -> None:
        """See ``Dependency.check``: the server answers, and this version can use its tables.

        While others have all connections in use, the check has one more: those who ask for much
        cannot have the server taken for down.

        Raises:
            Unavailable: no answer, migrations are pending, or a right is missing.
            UnsuitableDatabase: the schema is of another version, or the encoding is not UTF-8.
            Degraded: the schema is newer, and this version works with it.
        """
        seconds = self.timeouts.check
        async with self.connection(seconds, wait=seconds / 2, is_extra=True) as session:
            try:
                applied = await require_access(session, rights)
            except OrdersError as failure:
                self._note_usability(failure)
                raise
        self._note_usability(None)
        if newer := newer_schema(applied):
            raise Degraded(newer)

    @asynccontextmanager
    async def connection(
        self,
        abort_after: float,
        wait: float | None = None,
        requires: Callable[[Session], Awaitable[None]] | None = None,
        *,
        is_extra: bool = False,
    ) -> AsyncIterator[Session]:
        """Take a session in autocommit mode for a block that may take ``abort_after`` seconds.

        ``wait`` bounds the wait for a free connection; with ``is_extra``, a new one is made after
        that, beyond ``pool_max``. Driver errors that leave the block are
        translated, with the original as the cause. If tables or rights may be the reason,
        ``requires`` is asked which: it raises what is missing.

        Raises:
            Unavailable: no connection, the server is down or too slow, or it refuses the work.
            OrdersError: an unexpected error of the server.
        """
        try:
            session = await self._take(abort_after, wait)
        except _AllBusy as busy:
            if not is_extra:
                raise
            session = await self._connect_extra(abort_after, busy)
        try:
            try:
                yield session
            except FeatureNotSupported:
                await session.close()  # it does not know that the tables are distributed now
                raise
            finally:
                await self._give_back(session)
            # Only now: an idle session looks the same if its server is frozen.
            self._note_reachability(None)
        except psycopg.Error as error:
            self._was_read_only |= isinstance(error, ReadOnlySqlTransaction)
            failure = translated(error)
            if requires and is_access_fault(error):
                failure = await self._what_is_missing(requires) or failure
            if session.abort_reason:
                failure = Unavailable(session.abort_reason)
                # It may have been alone with that, or its server is frozen, and the others' too.
                self._doubted_at = time.monotonic()
            if session.closed:
                self._note_reachability(failure)
            raise failure from sanitize(error)

    async def _what_is_missing(
        self, requires: Callable[[Session], Awaitable[None]]
    ) -> Unavailable | None:
        try:
            async with self.connection(self.timeouts.check) as session:
                await requires(session)
        except OrdersError as failure:  # of any kind: it may be repaired while this process runs
            kind = Misconfigured if isinstance(failure, Misconfigured) else Unavailable
            return kind(str(failure))
        return None

    def _note_engine(self, citus_version: str | None, missing_settings: str) -> None:
        """Log what differs from a plain server with our settings, and again if that changes."""
        if (citus_version, missing_settings) == self._reported_engine:
            return
        if citus_version:
            _log.info("PostgreSQL has Citus", version=citus_version)
        if missing_settings:
            _log.warning("the PostgreSQL role lacks settings", settings=missing_settings)
        self._reported_engine = citus_version, missing_settings

    def _note_usability(self, failure: OrdersError | None) -> None:
        """Log once when tables or rights are missing or that changes, and when all are there."""
        reason = str(failure) if failure else None
        if reason and reason != self._reported_unusable:
            _log.warning(f"{self._name} cannot be used", reason=reason)
        elif self._reported_unusable and not reason:
            _log.info(f"{self._name} can be used again")
        self._reported_unusable = reason

    def _note_reachability(self, failure: OrdersError | None, cause: str = "") -> None:
        """Log once when the server becomes unreachable or the cause changes, and its recovery."""
        if failure is None:
            if self._reported is not None:
                _log.info(f"{self._name} recovered")
            self._reported = None
        elif self._reported is None or cause not in {"", self._reported}:
            _log.warning(f"{self._name} is unreachable", reason=str(failure))
            self._reported = cause

    async def _note_connected(self, session: Session) -> None:
        session.on_dead_peer = self._abort_sessions
        self._sessions.add(session)
        self._connect_failure = None
        self._note_engine(session.citus_version, ", ".join(session.missing_settings))

    def _note_connect_failure(self, error: Exception) -> None:
        if isinstance(error, UnsuitableDatabase):
            self._connect_failure = error
        else:
            self._connect_failure = connect_failure(error)

    def _abort_sessions(self, peer: Peer) -> None:
        """Abort all sessions on a server that reacts to nothing, the idle ones as well."""
        for session in self._sessions:
            if not session.closed and session.peer == peer:
                session.abort("PostgreSQL reacts to nothing: it is frozen, or cut off")

    async def _take(self, abort_after: float, wait: float | None) -> Session:
        # When the database accepts writes again, or another one does after a failover, sessions
        # from before stay read-only, for up to the hour that the pool keeps them.
        not_before = time.monotonic() if self._was_read_only else 0.0
        self._was_read_only = False
        while True:
            session = await self._get(wait or self.timeouts.connection)
            is_doubtful = session.answered_at < self._doubted_at
            session.abort_after(self.timeouts.check if is_doubtful else abort_after)
            try:
                usable = session.connecting_since >= not_before and await session.is_usable(
                    ask=is_doubtful
                )
            except BaseException:
                await self._give_back(session)
                raise
            if usable:
                session.abort_after(abort_after)
                return session
            # Not by the pool's own check: it sleeps for a second after the second broken session,
            # and after a restart of the server all of them are broken.
            await session.close()
            await self._give_back(session)

    async def _connect_extra(self, abort_after: float, busy: "_AllBusy") -> Session:
        try:
            async with asyncio.timeout(abort_after / 2):  # it has waited already
                session = await self._connect_besides()
        except (psycopg.Error, UnsuitableDatabase, TimeoutError):
            raise busy from None
        session.abort_after(abort_after)
        return session

    async def _get(self, seconds: float) -> Session:
        """Wait for a session of the pool; those that others use are worth waiting for."""
        if self._connect_failure and not self._has_sessions():
            seconds = min(seconds, _WAIT_WHILE_UNREACHABLE)
        try:
            return await self._pool.getconn(seconds)
        except PoolClosed as error:
            raise Unavailable("the connections to PostgreSQL are closed") from error
        except PoolTimeout:
            failure = self._why_no_session()
        if not self._has_sessions():
            found = self._connect_failure
            # Silence has many forms: none of them is news after another.
            self._note_reachability(failure, "" if found in {None, SILENT} else str(found))
        raise failure

    def _has_sessions(self) -> bool:
        return any(not session.closed for session in self._sessions)

    def _why_no_session(self) -> OrdersError:
        found = self._connect_failure
        if isinstance(found, UnsuitableDatabase):
            return UnsuitableDatabase(str(found))
        if self._has_sessions():
            limit = f", and it allows no more: {found.reason}" if found and found.at_limit else ""
            return _AllBusy(f"all connections to PostgreSQL are busy{limit}")
        return Unavailable(
            f"no connection to PostgreSQL: {found.reason if found else 'it has not answered yet'}"
        )

    async def _give_back(self, session: Session) -> None:
        session.abort_after(None)  # before others can get it
        if session in self._sessions:
            await self._pool.putconn(session)
        else:
            await session.close()


class PostgresWrites(Dependency):
    """The part of readiness that a process needs which stores orders."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def check(self) -> None:
        """See ``Dependency.check``."""
        await self._database.check(WRITE)
