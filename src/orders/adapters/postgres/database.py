"""The connection pool; it also translates driver errors into those of the domain."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import structlog
from msgspec import Struct
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ReadOnlySqlTransaction
from psycopg_pool import AsyncConnectionPool, PoolClosed

from orders.adapters.postgres.errors import sanitize, translated
from orders.adapters.postgres.schema import read_applied, require_current
from orders.adapters.postgres.session import BytesLoader, Session
from orders.domain.errors import OrdersError, Unavailable
from orders.domain.ports import Dependency

_RECONNECT_SECONDS = 1.0
"""How long the pool retries by itself; after that, the next caller triggers an attempt. Its backoff
doubles from 1 s, so it could otherwise sleep for minutes after the server has recovered."""

_WAIT_WHILE_UNREACHABLE = 0.2
"""Seconds to wait for a connection if none was obtained since an attempt to connect failed."""

_CLOSE_SECONDS = 1.0
"""How long closing waits for attempts to connect to a server that does not answer."""

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

_log = structlog.get_logger(__name__)


class Timeouts(Struct, frozen=True):
    """Timeouts in seconds.

    ``connection``: waiting for a free connection. ``connect``: connecting, unless the DSN sets it.
    ``statement``, ``lock`` and ``idle_in_transaction``: those of the server. ``read``, ``write``
    and ``check``: the connection is aborted after that.
    """

    connection: float = 2.5
    connect: float = 5.0
    statement: float = 15.0
    lock: float = 5.0
    idle_in_transaction: float = 60.0
    read: float = 10.0
    write: float = 60.0
    check: float = 0.8


class PostgresDatabase(Dependency):
    """A PostgreSQL database with a connection pool. Connects in the background once opened.

    ``dsn``: libpq URL or key=value string. ``pool_max``: most connections at once.
    ``application_name``: the name in the server's views, unless the DSN sets it.
    """

    def __init__(
        self,
        dsn: str,
        pool_max: int,
        application_name: str = "orders",
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (immutable)
    ) -> None:
        self.timeouts = timeouts
        self._failures_known = 0
        self._is_unreachable = False
        self._was_read_only = False
        # Both libraries log addresses, user names and texts of the server. The errors that callers
        # get, and the health checks, say what is needed.
        for name in ("psycopg", "psycopg.pool"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._pool = AsyncConnectionPool(
            dsn,
            connection_class=Session,
            kwargs={
                "autocommit": True,
                "client_encoding": "UTF8",
                "connect_timeout": conninfo_to_dict(dsn).get(
                    "connect_timeout", max(1, round(timeouts.connect))
                ),
                "fallback_application_name": application_name,
            },
            min_size=1,
            max_size=pool_max,
            open=False,
            configure=self._configure,
            timeout=timeouts.connection,
            reconnect_timeout=_RECONNECT_SECONDS,
            name=application_name,
        )

    async def open(self) -> None:
        """Start connecting; returns at once, even if the server is down."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close all connections, within a second; it cannot be opened again."""
        await self._pool.close(_CLOSE_SECONDS)

    async def check(self) -> None:
        """See ``Dependency.check``: the server answers and its schema is that of this version.

        Raises:
            Unavailable: no answer, or migrations are pending.
            UnknownSchema: the schema is of another version.
        """
        seconds = self.timeouts.check
        async with self.connection(seconds, wait=seconds / 2) as session:
            require_current(await read_applied(session))

    @asynccontextmanager
    async def connection(
        self, abort_after: float, wait: float | None = None
    ) -> AsyncIterator[Session]:
        """Take a session in autocommit mode for a block that may take ``abort_after`` seconds.

        ``wait`` bounds the wait for a free connection. Driver errors that leave the block are
        translated, with the original as the cause.

        Raises:
            Unavailable: no connection, or the server is down or too slow.
            OrdersError: an unexpected error of the server.
        """
        session: Session | None = None
        try:
            session = await self._take(abort_after, wait)
            try:
                yield session
            finally:
                await self._give_back(session)
            # Only now: an idle session looks the same if its server is frozen.
            self._note_reachability(None)
        except PoolClosed as error:
            raise Unavailable("the connections to PostgreSQL are closed") from error
        except psycopg.Error as error:
            self._was_read_only |= isinstance(error, ReadOnlySqlTransaction)
            failure: OrdersError = translated(error)
            if session and session.was_aborted:
                failure = Unavailable("PostgreSQL gave no answer in time")
            if session is None or session.closed:
                self._note_reachability(failure)
            raise failure from sanitize(error)

    def _note_reachability(self, failure: OrdersError | None) -> None:
        """Log once when the server becomes unreachable, and once when it has recovered."""
        if failure and not self._is_unreachable:
            _log.warning("PostgreSQL is unreachable", reason=str(failure))
        elif self._is_unreachable and not failure:
            _log.info("PostgreSQL recovered")
        self._is_unreachable = failure is not None

    async def _take(self, abort_after: float, wait: float | None) -> Session:
        timeout = wait or self.timeouts.connection
        if self._failures() > self._failures_known:
            timeout = min(timeout, _WAIT_WHILE_UNREACHABLE)
        # When the database accepts writes again, or another one does after a failover, sessions
        # from before stay read-only, for up to the hour that the pool keeps them.
        not_before = time.monotonic() if self._was_read_only else 0.0
        self._was_read_only = False
        while True:
            session = await self._pool.getconn(timeout)
            session.abort_after(abort_after)
            try:
                usable = session.ready_since >= not_before and await session.is_usable()
            except BaseException:
                await self._give_back(session)
                raise
            if usable:
                self._failures_known = self._failures()
                return session
            # Not by the pool's own check: it sleeps for a second after the second broken session,
            # and after a restart of the server all of them are broken.
            await session.close()
            await self._give_back(session)

    async def _give_back(self, session: Session) -> None:
        session.abort_after(None)  # before others can get it
        await self._pool.putconn(session)

    def _failures(self) -> int:
        """The number of failed attempts to connect."""
        return self._pool.get_stats().get("connections_errors", 0)

    async def _configure(self, session: Session) -> None:
        seconds = {
            "statement_timeout": self.timeouts.statement,
            "lock_timeout": self.timeouts.lock,
            "idle_in_transaction_session_timeout": self.timeouts.idle_in_transaction,
        }
        settings = PLANNING | {"TimeZone": "UTC"}
        settings |= {name: f"{round(value * 1000)}ms" for name, value in seconds.items()}
        session.adapters.register_loader("json", BytesLoader)
        session.ready_since = time.monotonic()
        session.abort_after(self.timeouts.connect)
        await session.execute(
            "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[])"
            " AS setting(name, value)",
            [list(settings), list(settings.values())],
        )
        session.abort_after(None)
