"""Compares the migrations of this version with those applied to a database."""

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from msgspec import Struct

from orders.adapters.postgres.session import Session
from orders.domain.errors import UnknownSchema

_OLDEST = re.compile(rb"^-- oldest compatible version: (\d+)\r?$", re.MULTILINE)
_ADVICE = "use the version of orders that created this schema, or another database"


class Migration(Struct, frozen=True):
    """A numbered migration. ``version`` counts from 1 without gaps.

    In its text a semicolon at the end of a line ends a statement.
    """

    version: int
    name: str
    sql: bytes

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, independent of line endings."""
        return hashlib.sha256(self.sql.replace(b"\r\n", b"\n")).hexdigest()

    @property
    def statements(self) -> list[bytes]:
        """Its statements, in order."""
        parts = re.split(rb";[ \t\r]*(?:\n|$)", self.sql)
        return [part for part in parts if part.strip()]

    @property
    def oldest_compatible(self) -> int:
        """The schema version whose code still works after this migration; its own by default.

        A migration states it in a line ``-- oldest compatible version: 1``.
        """
        stated = _OLDEST.search(self.sql)
        return int(stated[1]) if stated else self.version


class Applied(Struct, frozen=True):
    """A migration that was applied to a database."""

    version: int
    checksum: str
    oldest_compatible: int


@cache
def migrations() -> tuple[Migration, ...]:
    """All migrations of this version, in order."""
    folder = files("orders.adapters.postgres") / "migrations"
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return tuple(
        Migration(int(name.split("_")[0]), name.removesuffix(".sql"), (folder / name).read_bytes())
        for name in names
    )


async def read_applied(session: Session) -> list[Applied]:
    """Read the applied migrations; fails if their table does not exist."""
    # The column is as old as the first migration that needs it, hence by way of JSON.
    cursor = await session.execute(
        "SELECT version, checksum, coalesce((to_jsonb(m) ->> 'oldest_compatible')::int, version)"
        " FROM schema_migrations m ORDER BY version"
    )
    return [Applied(*row) for row in await cursor.fetchall()]


def pending(applied: Sequence[Applied]) -> tuple[Migration, ...]:
    """The migrations to apply, in order.

    Raises:
        UnknownSchema: the database has migrations that this version cannot work with.
    """
    known = migrations()
    for migration, done in zip(known, applied, strict=False):
        if (migration.version, migration.checksum) != (done.version, done.checksum):
            raise UnknownSchema(
                f"migration {done.version} of the database is not the one of this version: "
                + _ADVICE
            )
    if any(done.oldest_compatible > len(known) for done in applied[len(known) :]):
        raise UnknownSchema(
            f"the database's schema is at version {applied[-1].version}, this version of orders "
            f"knows {len(known)}: {_ADVICE}"
        )
    return known[len(applied) :]


def newer_schema(applied: Sequence[Applied]) -> str | None:
    """Say that the schema is newer than this version, which works with it; None if it is not."""
    known = len(migrations())
    if len(applied) <= known:
        return None
    return (
        f"the database's schema is at version {applied[-1].version}, this version of orders knows "
        f"{known}: it works, update it"
    )
