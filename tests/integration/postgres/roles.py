"""Roles with few rights, and databases of another encoding."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo


@contextmanager
def role(dsn: str, options: str = "", grants: tuple[str, ...] = ()) -> Iterator[str]:
    """A login role with exactly these rights; gives the DSN with it.

    ``options`` are those of CREATE ROLE; in ``grants``, {role} is its name.
    """
    name = f"role_{uuid4().hex}"
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p' {options}".encode())
        for grant in grants:
            admin.execute(grant.format(role=name).encode())
        try:
            yield make_conninfo(dsn, user=name, password="p")
        finally:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s",
                [name],
            )
            admin.execute(f"DROP OWNED BY {name}".encode())
            admin.execute(f"DROP ROLE {name}".encode())


@contextmanager
def database(admin_dsn: str, encoding: str) -> Iterator[str]:
    """An empty database of this encoding; gives its DSN."""
    name = f"orders_test_{uuid4().hex}"
    create = sql.SQL(
        "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LOCALE_PROVIDER libc LOCALE 'C'"
    )
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(create.format(sql.Identifier(name), sql.Literal(encoding)))
        try:
            yield make_conninfo(admin_dsn, dbname=name)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def role_name(dsn: str) -> str:
    """The role of a DSN."""
    return str(conninfo_to_dict(dsn)["user"])
