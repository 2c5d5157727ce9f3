"""Inspects the database for `orders doctor`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import ConnectionTimeout
from psycopg.rows import namedtuple_row

from orders.adapters.postgres.errors import condition, translated
from orders.adapters.postgres.schema import migrations, pending, read_applied
from orders.adapters.postgres.session import Session
from orders.daemon_thread import in_daemon_thread
from orders.domain.errors import UnknownSchema
from orders.domain.ports import Finding, Inspection
from orders.tcp_probe import probe_tcp

PART = "postgres"
_finding = partial(Finding, PART)
OLDEST = 14
"""Oldest supported major version of PostgreSQL."""

_DEFAULT_PORT = "5432"
_PROBE_SECONDS = 1.5
_CONNECT_SECONDS = 2
_QUERY_SECONDS = 2.0
_SETTING = "ORDERS_POSTGRES_DSN"

_FACTS = """
    SELECT current_setting('server_version') AS version,
           current_setting('server_version_num')::int / 10000 AS major,
           pg_is_in_recovery() AS is_standby,
           current_setting('transaction_read_only') = 'on' AS is_read_only,
           current_setting('fsync') AS fsync,
           current_setting('full_page_writes') AS full_page_writes,
           current_setting('synchronous_commit') AS synchronous_commit,
           current_setting('max_connections')::int
               - current_setting('superuser_reserved_connections')::int AS slots,
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
           to_regclass('schema_migrations') IS NOT NULL AS has_schema
"""


class PostgresInspection(Inspection):
    """Uses a connection of its own, since a pool does not say why it has none.

    ``dsn``: libpq URL or key=value string. ``pool_max``: most connections of one process.
    """

    def __init__(self, dsn: str, pool_max: int) -> None:
        self._dsn = dsn
        self._pool_max = pool_max

    async def inspect(self) -> Sequence[Finding]:
        """See ``Inspection.inspect``."""
        if unreachable := await in_daemon_thread(self._probe):
            return [unreachable]
        try:
            session = await self._connect(self._dsn)
        except psycopg.Error as error:
            return [await self._connection_failure(error)]
        try:
            session.abort_after(_QUERY_SECONDS)
            return await self._findings(session)
        except psycopg.Error as error:
            return [_unreachable(str(translated(error)), "check its log")]
        finally:
            session.abort_after(None)
            await session.close()

    # Connecting.

    def _probe(self) -> Finding | None:
        """Why none of the DSN's addresses accepts a connection; None if one does."""
        failures = []
        for host, port in self._addresses():
            failure = probe_tcp(host, port, _PROBE_SECONDS, _SETTING)
            if failure is None:
                return None
            failures.append(failure)
        return _unreachable(*failures[0]) if failures else None

    def _addresses(self) -> list[tuple[str, str]]:
        """Hosts and ports of the DSN; none for a local socket or a service name."""
        given = conninfo_to_dict(self._dsn)
        hosts = str(given.get("hostaddr") or given.get("host") or "").split(",")
        ports = str(given.get("port") or "").split(",")
        if len(ports) < len(hosts):
            ports = ports[:1] * len(hosts)
        pairs = zip(hosts, ports, strict=False)
        return [(host, port or _DEFAULT_PORT) for host, port in pairs if host[:1] not in {"", "/"}]

    async def _connect(self, dsn: str) -> Session:
        return await Session.connect(
            make_conninfo(dsn, connect_timeout=_CONNECT_SECONDS),
            autocommit=True,
            fallback_application_name="orders doctor",
        )

    async def _connection_failure(self, error: psycopg.Error) -> Finding:
        """Say why connecting failed, by facts: the driver's reason is only a text."""
        facts = error.pgconn
        if isinstance(error, ConnectionTimeout):
            return _unreachable(
                f"accepts connections, but does not respond within {_CONNECT_SECONDS} s",
                "it is frozen or overloaded: check its machine",
            )
        if error.sqlstate:
            return _unreachable(
                f"rejects the connection: {condition(error.sqlstate)}", "check its log"
            )
        if facts and facts.needs_password:
            return _unreachable("requires a password, and none is set", f"set one in {_SETTING}")
        if facts and facts.used_password:
            if await self._has_other_databases():
                return _unreachable(
                    "user and password are right, but the database does not exist, or this user "
                    "may not connect to it",
                    f"create it (createdb), grant CONNECT, or correct the name in {_SETTING}",
                )
            return _unreachable("rejects this user or this password", f"correct them in {_SETTING}")
        return _unreachable(
            "closes the connection before the login: it may be starting or out of connections, or "
            "its rules (pg_hba.conf, TLS) may not accept the login",
            "check its log",
        )

    async def _has_other_databases(self) -> bool:
        for name in ("postgres", "template1"):
            try:
                session = await self._connect(make_conninfo(self._dsn, dbname=name))
            except psycopg.Error:
                continue
            await session.close()
            return True
        return False

    # Once connected.

    async def _findings(self, session: Session) -> list[Finding]:
        async with session.cursor(row_factory=namedtuple_row) as cursor:
            await cursor.execute(_FACTS)
            facts: Any = await cursor.fetchone()
        return [
            _finding("reachable", "ok", "answers and accepts the login"),
            _version(facts),
            await _schema(session, has_schema=facts.has_schema),
            _writable(facts),
            _durable(facts),
            self._connections(facts),
        ]

    def _connections(self, facts: Any) -> Finding:
        text = f"{facts.used} of {facts.slots} in use, one process takes up to {self._pool_max}"
        advice = "raise max_connections, or lower ORDERS_POSTGRES_POOL_MAX"
        if self._pool_max > facts.slots:
            return _finding("connections", "problem", text, advice)
        if facts.slots - facts.used < self._pool_max:
            return _finding("connections", "warning", text, advice)
        return _finding("connections", "ok", text)


def _version(facts: Any) -> Finding:
    if facts.major < OLDEST:
        advice = f"upgrade it to {OLDEST} or newer"
        return _finding("version", "problem", f"PostgreSQL {facts.version} is too old", advice)
    return _finding("version", "ok", f"PostgreSQL {facts.version}")


async def _schema(session: Session, *, has_schema: bool) -> Finding:
    known = len(migrations())
    try:
        applied = await read_applied(session) if has_schema else []
        missing = len(pending(applied))
    except UnknownSchema as error:
        return _finding("schema", "problem", str(error), "run the newest version of orders")
    except psycopg.Error as error:
        text = f"its migrations cannot be read: {condition(error.sqlstate or '?')}"
        return _finding("schema", "problem", text, "grant SELECT on schema_migrations")
    if missing:
        text = f"version {known - missing}, and this version of orders needs {known}"
        return _finding("schema", "problem", text, "run `orders migrate`")
    return _finding("schema", "ok", f"version {known}, up to date")


def _writable(facts: Any) -> Finding:
    if facts.is_standby:
        advice = f"name the primary in {_SETTING} (target_session_attrs=read-write)"
        return _finding("writable", "problem", "it is a standby and accepts no writes", advice)
    if facts.is_read_only:
        text = "transactions are read-only"
        advice = "set default_transaction_read_only to off (of server, database or user)"
        return _finding("writable", "problem", text, advice)
    return _finding("writable", "ok", "accepts writes")


def _durable(facts: Any) -> Finding:
    names = ("fsync", "full_page_writes", "synchronous_commit")
    off = [name for name in names if getattr(facts, name) == "off"]
    if off:
        text = f"confirmed transactions may be lost in a crash: {', '.join(off)} off"
        return _finding("durability", "problem", text, "set to on, and restart the consumers")
    return _finding("durability", "ok", "confirmed transactions survive a crash")


def _unreachable(text: str, advice: str) -> Finding:
    return _finding("reachable", "problem", text, advice)
