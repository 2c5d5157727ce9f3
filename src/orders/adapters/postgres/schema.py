"""The numbered migrations that come with this version, held against those that a database has."""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from msgspec import Struct

from orders.adapters.postgres.session import Session
from orders.domain.errors import Unavailable, UnknownSchema

_ADVICE = "use the version of orders that this database belongs to, or another database"


class Migration(Struct, frozen=True):
    """One step of the schema. ``version`` counts from 1 without gaps."""

    version: int
    name: str
    sql: bytes

    @property
    def checksum(self) -> str:
        """Stands for the text, whichever line ends it was checked out with."""
        return hashlib.sha256(self.sql.replace(b"\r\n", b"\n")).hexdigest()


class Applied(Struct, frozen=True):
    """A migration that a database has."""

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
    """What the database has. Fails where the table of migrations is not there yet."""
    cursor = await session.execute(
        "SELECT version, checksum FROM schema_migrations ORDER BY version"
    )
    return [Applied(version, checksum) for version, checksum in await cursor.fetchall()]


def pending(applied: Sequence[Applied]) -> tuple[Migration, ...]:
    """The migrations that are still to be applied, in order.

    Raises:
        UnknownSchema: the database has what this version does not know.
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


def require_current(applied: Sequence[Applied]) -> None:
    """Return when nothing is pending.

    Raises:
        Unavailable: something is.
        UnknownSchema: the database has what this version does not know.
    """
    if pending(applied):
        raise Unavailable("the database's schema is not up to date: run `orders migrate`")
