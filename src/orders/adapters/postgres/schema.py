"""Compares the migrations of this version with those applied to a database."""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from msgspec import Struct

from orders.adapters.postgres.session import Session
from orders.domain.errors import UnknownSchema

_ADVICE = "use the version of orders that created this schema, or another database"


class Migration(Struct, frozen=True):
    """A numbered migration. ``version`` counts from 1 without gaps."""

    version: int
    name: str
    sql: bytes

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, independent of line endings."""
        return hashlib.sha256(self.sql.replace(b"\r\n", b"\n")).hexdigest()


class Applied(Struct, frozen=True):
    """A migration that was applied to a database."""

    version: int
    checksum: str


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
    cursor = await session.execute(
        "SELECT version, checksum FROM schema_migrations ORDER BY version"
    )
    return [Applied(version, checksum) for version, checksum in await cursor.fetchall()]


def pending(applied: Sequence[Applied]) -> tuple[Migration, ...]:
    """The migrations to apply, in order.

    Raises:
        UnknownSchema: the database has migrations that this version does not know.
    """
    known = migrations()
    for migration, done in zip(known, applied, strict=False):
        if (migration.version, migration.checksum) != (done.version, done.checksum):
            raise UnknownSchema(
                f"migration {done.version} of the database is not the one of this version: "
                + _ADVICE
            )
    if len(applied) > len(known):
        raise UnknownSchema(
            f"the database's schema is at version {applied[-1].version}, this version of orders "
            f"knows {len(known)}: {_ADVICE}"
        )
    return known[len(applied) :]
