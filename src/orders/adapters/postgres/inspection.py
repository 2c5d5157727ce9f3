"""Inspects the database for `orders doctor`."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import psycopg
from msgspec.structs import replace
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import namedtuple_row

from orders.adapters.postgres.access import (
    READ,
    WRITE,
    MissingRights,
    applied_migrations,
    can_migrate,
    require_access,
    require_schemas,
)
from orders.adapters.postgres.connect_errors import connect_failure
from orders.adapters.postgres.errors import translated
from orders.adapters.postgres.replica import read_lag
from orders.adapters.postgres.schema import migrations, newer_schema, pending
from orders.adapters.postgres.session import Pooler, Session
from orders.adapters.postgres.tables import TABLES
from orders.daemon_thread import in_daemon_thread
from orders.domain.errors import Unavailable, UnknownSchema, UnsuitableDatabase
from orders.domain.ports import Finding, Inspection
from orders.tcp_probe import probe_tcp

PART = "postgres"
_finding = partial(Finding, PART)
OLDEST = 14
"""Oldest supported major version of PostgreSQL."""

_STANDBYS = {"standby", "prefer-standby", "read-only"}
"""Values of target_session_attrs that ask for a standby."""

_DEFAULT_PORT = "5432"
_PROBE_SECONDS = 1.5
_CONNECT_SECONDS = 2
_QUERY_SECONDS = 2.0
_NEWEST = "run the newest version of orders"

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
           quote_ident(current_user) AS role,
           quote_ident(current_database()) AS database,
           rolconnlimit AS user_limit,
           datconnlimit AS database_limit
    FROM pg_database JOIN pg_roles ON rolname = current_user
    WHERE datname = current_database()
"""


_CITUS_FACTS = """
    WITH nodes AS (SELECT * FROM run_command_on_all_nodes('SHOW lock_timeout'))
    SELECT (SELECT count(*) FROM pg_dist_node WHERE isactive AND shouldhaveshards),
           (SELECT count(*) FROM pg_dist_partition
            WHERE logicalrelid = ANY (SELECT to_regclass(name) FROM unnest(%s::text[]) AS name)),
           (SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = to_regclass('orders')),
           (SELECT count(*) FROM nodes WHERE NOT success),
           (SELECT count(*) FROM nodes WHERE success AND result = '0')
"""


class PostgresInspection(Inspection):
    """Uses a connection of its own, since a pool does not say why it has none.

    ``dsn``: libpq URL or key=value string. ``pool_max``: most connections of one process.
    ``pooler``: what a pooler between shares.
    """

    setting = "ORDERS_POSTGRES_DSN"

    def __init__(self, dsn: str, pool_max: int, pooler: Pooler = "session") -> None:
        self._dsn = dsn
        self._parameters = conninfo_to_dict(dsn)
        self._pool_max = pool_max
        self._pooler = pooler

    async def inspect(self) -> Sequence[Finding]:
        """See ``Inspection.inspect``."""
        if unreachable := await in_daemon_thread(self._probe):
            return [unreachable]
        try:
            session = await Session.connect(
                make_conninfo(self._dsn, connect_timeout=_CONNECT_SECONDS),
                application_name="orders doctor",
                # There may be one that nobody told us of, and settings would stay in it.
                pooler=None if self._pooler == "session" else self._pooler,
            )
        except UnsuitableDatabase as error:
            text, _, advice = str(error).partition(": ")
            return [_finding("encoding", "problem", text, advice, is_refused=True)]
        except psycopg.Error as error:
            failure = connect_failure(error)
            return [_unreachable(failure.reason, failure.advice)]
        try:
            session.abort_after(_QUERY_SECONDS)
            return await self._findings(session)
        except psycopg.Error as error:
            return [_unreachable(session.abort_reason or str(translated(error)), "check its log")]
        finally:
            session.abort_after(None)
            await session.close()

    # Connecting.

    def _probe(self) -> Finding | None:
        """Why none of the DSN's addresses accepts a connection; None if one does."""
        failures = []
        for host, port in self._addresses():
            failure = probe_tcp(host, port, _PROBE_SECONDS, self.setting)
            if failure is None:
                return None
            failures.append(failure)
        return _unreachable(*failures[0]) if failures else None

    def _addresses(self) -> list[tuple[str, str]]:
        """Hosts and ports of the DSN; none for a local socket or a service name."""
        given = self._parameters
        hosts = str(given.get("hostaddr") or given.get("host") or "").split(",")
        ports = str(given.get("port") or "").split(",")
        if len(ports) < len(hosts):
            ports = ports[:1] * len(hosts)
        pairs = zip(hosts, ports, strict=False)
        return [(host, port or _DEFAULT_PORT) for host, port in pairs if host[:1] not in {"", "/"}]

    # Once connected.

    async def _findings(self, session: Session) -> list[Finding]:
        async with session.cursor(row_factory=namedtuple_row) as cursor:
            await cursor.execute(_FACTS)
            facts: Any = await cursor.fetchone()
        schema = await self._schema_and_rights(session)
        is_readable = all(finding.state != "problem" for finding in schema)
        return [
            _finding("reachable", "ok", "answers and accepts the login"),
            _version(facts),
            *await self._engine(session),
            *await self._pooling(session, facts),
            *schema,
            *await self._role(session, facts, is_readable),
            *self._durability(facts),
            self._connections(facts),
        ]

    async def _engine(self, session: Session) -> list[Finding]:
        """What is to be known about the distribution of the tables; nothing on a plain server."""
        if not session.citus_version:
            return []
        cursor = await session.execute(_CITUS_FACTS, [[table.name for table in TABLES]])
        found = (await cursor.fetchone()) or (0, 0, 0, 0, 0)
        workers, distributed, shards, silent, unlimited = found
        text = f"Citus {session.citus_version}, {workers} active nodes with shards, "
        if silent:
            text += f"of all nodes {silent} cannot be reached"
            return [
                _finding("engine", "problem", text, "start them: see the log of the coordinator")
            ]
        if distributed < len(TABLES):
            advice = "run `orders migrate --distribute`"
            return [_finding("engine", "warning", f"{text}tables not distributed", advice)]
        if unlimited:
            text += "some without lock_timeout: a session does not pass its own on to them"
            advice = (
                f"on the coordinator: ALTER ROLE \"{session.info.user}\" SET lock_timeout = '5s'"
            )
            return [_finding("engine", "warning", text, advice)]
        return [_finding("engine", "ok", f"{text}{shards} shards of each table")]

    async def _pooling(self, session: Session, facts: Any) -> list[Finding]:
        if self._pooler == "transaction" and session.missing_settings:
            changes = "; ".join(
                f"ALTER ROLE {facts.role} IN DATABASE {facts.database} SET {name} = '{value}'"
                for name, value in session.missing_settings.items()
            )
            text = f"the role lacks settings: {', '.join(session.missing_settings)}"
            return [_finding("pooler", "warning", text, f"run: {changes}")]
        if not await session.is_pooled():
            return []
        if self._pooler == "transaction":
            text = "the role has the settings for transaction mode"
            return [_finding("pooler", "ok", text)]
        text = "there is a pooler in front of the server"
        advice = "set ORDERS_POSTGRES_POOLER=transaction, unless it is in session mode"
        return [_finding("pooler", "warning", text, advice)]

    def _durability(self, facts: Any) -> list[Finding]:
        names = ("fsync", "full_page_writes", "synchronous_commit")
        off = [name for name in names if getattr(facts, name) == "off"]
        if off:
            text = f"confirmed transactions may be lost in a crash: {', '.join(off)} off"
            advice = "set to on, and restart the consumers"
            return [_finding("durability", "problem", text, advice)]
        return [_finding("durability", "ok", "confirmed transactions survive a crash")]

    def _connections(self, facts: Any) -> Finding:
        text = f"{facts.used} of {facts.slots} in use, one process takes up to {self._pool_max}"
        advice = "raise max_connections, or lower ORDERS_POSTGRES_POOL_MAX"
        limits = {"this user": facts.user_limit, "this database": facts.database_limit}
        for owner, limit in limits.items():
            if 0 <= limit < self._pool_max:
                advice = "raise its CONNECTION LIMIT, or lower ORDERS_POSTGRES_POOL_MAX"
                return _finding(
                    "connections", "warning", f"{text}, but {owner} may have {limit}", advice
                )
        if self._pool_max > facts.slots:
            return _finding("connections", "problem", text, advice)
        if facts.slots - facts.used < self._pool_max:
            return _finding("connections", "warning", text, advice)
        return _finding("connections", "ok", text)

    async def _schema_and_rights(self, session: Session) -> list[Finding]:
        known = len(migrations())
        try:
            await require_schemas(session)
            applied = await applied_migrations(session)
            missing = len(pending(applied))
            if missing:
                text = f"version {known - missing}, and this version of orders needs {known}"
                with suppress(Unavailable):  # tables of another program are no pending migration
                    await require_access(session, READ)
                advice = "run `orders migrate`"
                try:
                    await can_migrate(session)
                except MissingRights as error:
                    advice += f" as the owner of the tables, or GRANT what is missing: {error}"
                return [_finding("schema", "problem", text, advice)]
            await require_access(session, READ)
        except UnknownSchema as error:
            return [_finding("schema", "problem", str(error), _NEWEST, is_refused=True)]
        except MissingRights as error:
            return [self._denied("rights", error)]
        except Unavailable as error:
            text, _, advice = str(error).rpartition(": ")
            return [_finding("schema", "problem", text, advice)]
        newer = newer_schema(applied)
        return [
            _finding("schema", "warning", newer, _NEWEST)
            if newer
            else _finding("schema", "ok", f"version {known}, up to date"),
            _finding("rights", "ok", "this user may read the tables"),
        ]

    async def _role(self, session: Session, facts: Any, is_readable: bool) -> list[Finding]:  # noqa: FBT001
        """Whether it accepts writes."""
        if facts.is_standby and str(self._parameters.get("target_session_attrs")) in _STANDBYS:
            text = "a standby, as target_session_attrs asks: for the API, not for the consumer"
            return [_finding("writable", "ok", text)]
        if facts.is_standby:
            text = "it is a standby and accepts no writes"
            advice = f"name the primary in {self.setting} (target_session_attrs=read-write)"
            return [_finding("writable", "problem", text, advice)]
        if facts.is_read_only:
            text = "transactions are read-only"
            advice = "set default_transaction_read_only to off (of server, database or user)"
            return [_finding("writable", "problem", text, advice)]
        if not is_readable:
            return []
        try:
            await require_access(session, WRITE)
        except MissingRights as error:
            return [self._denied("writable", error)]
        return [_finding("writable", "ok", "accepts writes")]

    def _denied(self, what: str, error: MissingRights) -> Finding:
        return _finding(what, "problem", str(error), f"GRANT it to the user of {self.setting}")


class ReplicaInspection(PostgresInspection):
    """Inspects the replica that the API reads from."""

    setting = "ORDERS_POSTGRES_READ_DSN"

    async def inspect(self) -> Sequence[Finding]:
        """See ``Inspection.inspect``."""
        return [
            replace(
                finding,
                part="replica",
                advice=finding.advice.replace(PostgresInspection.setting, self.setting),
            )
            for finding in await super().inspect()
        ]

    def _durability(self, _: Any) -> list[Finding]:
        """Nothing: what it confirms is confirmed by the primary."""
        return []

    async def _role(self, session: Session, *_: object) -> list[Finding]:
        """How far it is behind."""
        lag = await read_lag(session)
        if not lag.is_standby:
            advice = f"name a replica in {self.setting}, or unset it"
            return [_finding("lag", "warning", "it is a primary, not a replica", advice)]
        if lag.fault:
            advice = "check replication: pg_stat_replication on the primary, the replica's log"
            return [_finding("lag", "warning", lag.fault, advice)]
        kilobytes = max(0, lag.received - lag.replayed) / 1024
        return [_finding("lag", "ok", f"{kilobytes:,.0f} KB of changes are not replayed yet")]


def _version(facts: Any) -> Finding:
    if facts.major < OLDEST:
        advice = f"upgrade it to {OLDEST} or newer"
        return _finding("version", "problem", f"PostgreSQL {facts.version} is too old", advice)
    return _finding("version", "ok", f"PostgreSQL {facts.version}")


def _unreachable(text: str, advice: str) -> Finding:
    return _finding("reachable", "problem", text, advice)
