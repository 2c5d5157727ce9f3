"""The pool of connections, and the one place where driver errors become the domain's."""

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
"""How long the pool tries on its own before it leaves the next attempt to the next caller; its
backoff doubles from 1 s and would else sleep for minutes after the server is back."""

_WAIT_WHILE_AWAY = 0.2
"""Seconds to wait for a connection when none was had since an attempt to connect failed."""

_CLOSE_SECONDS = 1.0
"""How long the end waits for attempts to connect to a server that does not answer."""

PLANNING = {
    # A look-up takes 0.1 ms, its plan 0.3, and PostgreSQL would choose to make it anew each time.
    "plan_cache_mode": "force_generic_plan",
    # A plan made without the parameters' values takes every customer for a small one, whose orders
    # it would gather and sort. Walking the index in its order is as good for small ones.
    "enable_bitmapscan": "off",
    # A plan that is kept outlives the size of a table that it was made for.
    "enable_seqscan": "off",
    # Compiling costs more than these queries ever take.
    "jit": "off",
}
"""How every session plans its queries."""

_log = structlog.get_logger(__name__)


class Timeouts(Struct, frozen=True):
    """How long things may take, in seconds.

    ``connection``: to wait for a free one. ``connect``: to make one, unless the DSN says otherwise.
    ``statement``, ``lock`` and ``idle_in_transaction``: the server's own. ``read``, ``write`` and
    ``check``: after that a server that has not answered is given up.
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
    """A PostgreSQL database. Built closed; connects in the background once opened.

    ``dsn``: libpq URL or key=value string. ``pool_max``: most connections at once.
    ``application_name``: how the server sees us, unless the DSN says otherwise.
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
        self._is_away = False
        self._was_read_only = False
        # Both libraries log addresses, user names and the server's own texts. What matters is told
        # by the errors that callers get, and by health.
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
        """Begin to connect; returns at once, also when the server is down."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close all connections, within a second; a closed database cannot be opened again."""
        await self._pool.close(_CLOSE_SECONDS)

    async def check(self) -> None:
        """Return when the server answers and its schema is the one that this version knows.

        Raises:
            Unavailable: no answer, or the schema is not up to date yet.
            UnknownSchema: the schema is of another version.
        """
        seconds = self.timeouts.check
        async with self.connection(seconds, wait=seconds / 2) as session:
            require_current(await read_applied(session))

    @asynccontextmanager
    async def connection(
        self, give_up_after: float, wait: float | None = None
    ) -> AsyncIterator[Session]:
        """A session in autocommit mode for the block, which has ``give_up_after`` seconds.

        ``wait`` bounds the wait for a free connection. A driver error that leaves the block is
        raised as the domain's, its cause kept. To be opened first.

        Raises:
            Unavailable: no connection, or the server is too slow, or away meanwhile.
            OrdersError: an error of the server's that nobody foresaw.
        """
        session: Session | None = None
        try:
            session = await self._take(give_up_after, wait)
            try:
                yield session
            finally:
                await self._give_back(session)
            # Only now: a session that is idle looks the same whether or not its server is frozen.
            self._note_away(None)
        except PoolClosed as error:
            raise Unavailable("the connections to PostgreSQL are closed") from error
        except psycopg.Error as error:
            self._was_read_only |= isinstance(error, ReadOnlySqlTransaction)
            failure: OrdersError = translated(error)
            if session and session.gave_up:
                failure = Unavailable("PostgreSQL gave no answer in time")
            if session is None or session.closed:
                self._note_away(failure)
            raise failure from sanitize(error)

    def _note_away(self, failure: OrdersError | None) -> None:
        """Say it once when the server goes away, and once when it is back."""
        if failure and not self._is_away:
            _log.warning("PostgreSQL is unreachable", reason=str(failure))
        elif self._is_away and not failure:
            _log.info("PostgreSQL recovered")
        self._is_away = failure is not None

    async def _take(self, give_up_after: float, wait: float | None) -> Session:
        timeout = wait or self.timeouts.connection
        if self._failures() > self._failures_known:
            timeout = min(timeout, _WAIT_WHILE_AWAY)
        # When the database takes writes again, or another one does after a failover, sessions that
        # began before go on being read-only, each for the hour that the pool keeps it.
        not_before = time.monotonic() if self._was_read_only else 0.0
        self._was_read_only = False
        while True:
            session = await self._pool.getconn(timeout)
            session.give_up_after(give_up_after)
            try:
                usable = session.began >= not_before and await session.is_usable()
            except BaseException:
                await self._give_back(session)
                raise
            if usable:
                self._failures_known = self._failures()
                return session
            # Not the pool's own check: it sleeps a second after the second broken connection,
            # and after a restart of the server all of them are.
            await session.close()
            await self._give_back(session)

    async def _give_back(self, session: Session) -> None:
        session.give_up_after(None)  # now, for the next one to have it may be faster than we
        await self._pool.putconn(session)

    def _failures(self) -> int:
        """How many attempts to connect have failed so far."""
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
        session.began = time.monotonic()
        session.give_up_after(self.timeouts.connect)
        await session.execute(
            "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[])"
            " AS setting(name, value)",
            [list(settings), list(settings.values())],
        )
        session.give_up_after(None)
