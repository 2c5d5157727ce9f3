"""Whether the tables are there, and whether this user has the rights that it needs on them.

Asked of the catalog, not read from error messages, which are in the language of the server and
name an object but no right.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from orders.adapters.postgres.schema import Applied, pending, read_applied
from orders.adapters.postgres.session import Session
from orders.adapters.postgres.tables import FORGOTTEN_AT, STORED_XID, TABLES
from orders.domain.errors import Misconfigured, Unavailable, UnknownSchema

READ = ("SELECT",)
"""The rights that serving orders needs."""
WRITE = ("SELECT", "INSERT")
"""The rights that storing orders needs."""
ERASE = ("SELECT", "INSERT", "UPDATE", "DELETE")
"""The rights that forgetting orders needs."""

_VERSIONS = "schema_migrations"
_COLUMNS = {table.name: table.columns for table in TABLES} | {
    _VERSIONS: ("version", "name", "checksum")
}
_COLUMNS["orders"] += (FORGOTTEN_AT, STORED_XID)

# has_column_privilege is also true for a right on the whole table.
_TABLES = """
    SELECT wanted.name, c.oid IS NOT NULL,
           array_agg(wanted.column_name) FILTER (WHERE a.attnum IS NULL),
           coalesce(bool_and(has_column_privilege(c.oid, a.attnum, 'SELECT')), false),
           coalesce(bool_and(has_column_privilege(c.oid, a.attnum, 'INSERT')), false),
           coalesce(has_table_privilege(c.oid, 'UPDATE'), false),
           coalesce(has_table_privilege(c.oid, 'DELETE'), false),
           coalesce(pg_has_role(c.relowner, 'USAGE'), false),
           coalesce(row_security_active(c.oid), false)
    FROM unnest(%s::text[], %s::text[]) AS wanted (name, column_name)
    LEFT JOIN pg_class c ON c.oid = to_regclass(wanted.name)
    LEFT JOIN pg_attribute a
        ON a.attrelid = c.oid AND a.attname = wanted.column_name AND NOT a.attisdropped
    GROUP BY wanted.name, c.oid, c.relowner
"""

_SCHEMAS = """
    SELECT n.nspname, has_schema_privilege(n.oid, 'USAGE'), has_schema_privilege(n.oid, 'CREATE')
    FROM unnest(string_to_array(
        replace(current_setting('search_path'), '"$user"', quote_ident(current_user)), ','
    )) WITH ORDINALITY AS path (name, position)
    JOIN pg_namespace n ON n.nspname = btrim(path.name, ' "')
    ORDER BY path.position
"""


class MissingRights(Misconfigured):
    """Rights that this user does not have; an operator may grant them at any time."""

    def __init__(self, rights: Sequence[str]) -> None:
        super().__init__(f"PostgreSQL denies this user {', '.join(rights)}")


class _Table(Struct, frozen=True):
    name: str
    exists: bool
    missing: Sequence[str] | None
    can_select: bool
    can_insert: bool
    can_update: bool
    can_delete: bool
    is_owner: bool
    hides_rows: bool

    def lacks(self, rights: Iterable[str]) -> list[str]:
        has = {
            "SELECT": self.can_select,
            "INSERT": self.can_insert,
            "UPDATE": self.can_update or self.name != TABLES[0].name,  # for tombstones alone
            "DELETE": self.can_delete,
        }
        return [f"{right} on table {self.name}" for right in rights if not has[right]]


async def require_schemas(session: Session, *, create: bool = False) -> None:
    """Return if tables can be found, and with ``create`` also be created.

    Raises:
        Unavailable: the schema does not exist, or this user may not use it.
    """
    cursor = await session.execute(_SCHEMAS)
    schemas = await cursor.fetchall()
    if not schemas:
        raise Unavailable(
            "search_path names no schema that exists: create it, or correct search_path"
        )
    usable = [(name, may_create) for name, may_use, may_create in schemas if may_use]
    if not usable:
        raise MissingRights([f"USAGE on schema {schemas[0][0]}"])
    name, may_create = usable[0]
    if create and not may_create:
        raise MissingRights([f"CREATE on schema {name}"])


async def applied_migrations(session: Session) -> list[Applied]:
    """The migrations that were applied to this database, none if it is empty.

    Raises:
        Unavailable: this user may not read them.
        UnknownSchema: their table was created by another program.
    """
    return await _applied(session, await _tables(session))


async def _applied(session: Session, tables: Mapping[str, _Table]) -> list[Applied]:
    versions = tables[_VERSIONS]
    if not versions.exists:
        return []
    if versions.missing:
        raise UnknownSchema(
            f"the database has a table {_VERSIONS} of another program: use a database of its own"
        )
    if lacking := versions.lacks(READ):
        raise MissingRights(lacking)
    return await read_applied(session)


async def require_access(session: Session, rights: Sequence[str]) -> list[Applied]:
    """Return the applied migrations, if all tables are there and this user has these rights.

    Raises:
        Unavailable: a table, a column or a right is missing, or migrations are pending.
        UnknownSchema: the tables are of another version or of another program.
    """
    tables = await _tables(session)
    applied = await _applied(session, tables)
    own = [tables[table.name] for table in TABLES]
    if not applied:
        await require_schemas(session)
        for table in own:
            if table.exists:
                raise UnknownSchema(
                    f"the database has a table {table.name} that orders did not create: "
                    "use a database of its own"
                )
    if pending(applied):
        raise Unavailable("the database's schema is not up to date: run `orders migrate`")
    _require_all(own, rights)
    return applied


def _require_all(tables: Sequence[_Table], rights: Sequence[str]) -> None:
    for table in tables:
        if not table.exists:
            raise Unavailable(f"table {table.name} is missing, though it was created: restore it")
        if table.missing:
            raise Unavailable(
                f"column {table.missing[0]} of table {table.name} is missing, "
                "though it was created: restore it"
            )
    if lacking := [right for table in tables for right in table.lacks(rights)]:
        raise MissingRights(lacking)
    for table in tables:
        if table.hides_rows:
            raise Unavailable(
                f"row security hides rows of table {table.name} from this user: "
                "grant it BYPASSRLS, or make it the owner of the table"
            )


async def can_read(session: Session) -> None:
    """See ``require_access``."""
    await require_access(session, READ)


async def can_write(session: Session) -> None:
    """See ``require_access``."""
    await require_access(session, WRITE)


async def can_erase(session: Session) -> None:
    """See ``require_access``."""
    await require_access(session, ERASE)


async def can_migrate(session: Session) -> None:
    """Return if this user may create tables, and alter those that exist.

    Raises:
        Unavailable: a right is missing.
    """
    await require_schemas(session, create=True)
    tables = (await _tables(session)).values()
    if others := [table.name for table in tables if table.exists and not table.is_owner]:
        raise MissingRights([f"ALTER on table {name}, of another owner" for name in others])


async def _tables(session: Session) -> dict[str, _Table]:
    wanted = [(name, column) for name, columns in _COLUMNS.items() for column in columns]
    names, columns = map(list, zip(*wanted, strict=True))
    cursor = await session.execute(_TABLES, [names, columns])
    return {row[0]: _Table(*row) for row in await cursor.fetchall()}
