"""Migrates a database to the schema of this version, and distributes its tables on Citus."""

from contextlib import suppress

from psycopg.errors import DuplicateObject, DuplicateTable

from orders.adapters.postgres.access import READ, applied_migrations, can_migrate, require_access
from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.errors import sanitize
from orders.adapters.postgres.schema import pending, read_applied
from orders.adapters.postgres.session import Session
from orders.adapters.postgres.tables import TABLES
from orders.domain.errors import Unavailable, UnknownSchema, UnsuitableDatabase

_LOCK = 0x6F72646572730001
"""Key of the advisory lock; a number that other programs are unlikely to use."""

_MAX_SECONDS = 3600.0
"""Building an index over a large table takes long."""

# No key of its own: every key of this schema holds order_uid. The lock keeps versions unique.
_CREATE_TABLE = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    integer     NOT NULL,
        name       text        NOT NULL,
        checksum   text        NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""
_ADD_COLUMN = "ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS oldest_compatible integer"


_LOCAL_TABLES = """
    SELECT name FROM unnest(%s::text[]) AS name
    WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass(name))
"""
_DISTRIBUTE = """
    SELECT create_distributed_table(
        %s, 'order_uid', shard_count => %s::integer, colocate_with => %s
    )
"""
_TO_EVERY_NODE = "SELECT create_reference_table('schema_migrations')"
# Without a key Citus cannot bring the table to a node that is added, nor move shards there.
_ADD_KEY = "ALTER TABLE schema_migrations ADD PRIMARY KEY (version)"
_VERSIONS = "schema_migrations"


class Migrator:
    """Applies pending migrations."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def migrate(self) -> list[str]:
        """Apply pending migrations, each in its own transaction; returns their names.

        Safe to run concurrently: one process applies them, the others wait. If nothing is pending,
        it needs only permission to read.

        Raises:
            Unavailable: the server is down or busy; applied migrations stay, and a retry is safe.
            UnknownSchema: the database has a schema that this version does not know.
        """
        done: list[str] = []
        async with self._database.connection(_MAX_SECONDS, requires=can_migrate) as session:
            while pending(await applied_migrations(session)):
                if name := await _apply_next(session, self._database.timeouts.lock):
                    done.append(name)
        return done

    async def distribute(self, shards: int) -> list[str]:
        """Distribute the tables by order_uid over the workers of a Citus cluster.

        Returns the names of the tables; those that are distributed already stay as they are. What
        is stored moves with them, in one transaction; writers wait meanwhile. Each node gets the
        versions of the schema, so that sessions may go to the workers as well.

        Raises:
            Unavailable: the coordinator or a worker is down, or a right is missing.
            UnsuitableDatabase: it has no Citus.
        """
        async with self._database.connection(_MAX_SECONDS, requires=can_migrate) as session:
            if not session.citus_version:
                raise UnsuitableDatabase(
                    "the database has no extension citus: create it there and on every worker"
                )
            async with session.transaction():
                await _configure(session, lock_timeout=0.0)
                await session.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
                first, *others = names = [table.name for table in TABLES]
                cursor = await session.execute(_LOCAL_TABLES, [[*names, _VERSIONS]])
                local = {name for (name,) in await cursor.fetchall()}
                if first in local:
                    await session.execute(_DISTRIBUTE, [first, shards, "none"])
                for name in others:  # beside the rows of the first with the same order_uid
                    if name in local:
                        await session.execute(_DISTRIBUTE, [name, None, first])
                if _VERSIONS in local:
                    await session.execute(_ADD_KEY)
                    await session.execute(_TO_EVERY_NODE)
        return [name for name in names if name in local]

    async def verify(self) -> list[str]:
        """Apply nothing; return if this version can work with the database, or may soon.

        Raises:
            Unavailable: no connection.
            UnsuitableDatabase: see ``migrate``; the encoding may also be the reason.
        """
        async with self._database.connection(self._database.timeouts.read) as session:
            with suppress(Unavailable):  # tables or rights are missing: health says so
                await require_access(session, READ)
        return []


async def _apply_next(session: Session, lock_timeout: float) -> str | None:
    """Apply the first pending migration; None if another process has applied it."""
    try:
        async with session.transaction():
            await _configure(session, lock_timeout=0.0)  # waits for other processes, however long
            await session.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            # While this waits for a table's lock, later statements on the table wait behind it.
            await _configure(session, lock_timeout=lock_timeout)
            await session.execute(_CREATE_TABLE)
            await session.execute(_ADD_COLUMN)
            waiting = pending(await read_applied(session))
            if not waiting:
                return None
            migration = waiting[0]
            for statement in migration.statements:  # Citus takes no more than one at a time
                await session.execute(statement)
            await session.execute(
                "INSERT INTO schema_migrations (version, name, checksum, oldest_compatible)"
                " VALUES (%s, %s, %s, %s)",
                [
                    *(migration.version, migration.name),
                    *(migration.checksum, migration.oldest_compatible),
                ],
            )
    except (DuplicateTable, DuplicateObject) as error:
        raise UnknownSchema(
            "the database has tables of these names that orders did not create: "
            "use a database of its own"
        ) from sanitize(error)
    return migration.name


async def _configure(session: Session, lock_timeout: float) -> None:
    await session.execute(
        "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', %s, true)",
        [f"{round(lock_timeout * 1000)}ms"],
    )
