"""A fresh, migrated database for each test, cloned from a template that is migrated once."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.migrator import Migrator
from tests.integration.opened import opened

SHARDS = 4
"""Of each distributed table: few, since each costs time."""


def create_database(admin_dsn: str, template: str = "template0") -> str:
    """Make a database of a new name; returns its DSN."""
    name = f"orders_test_{uuid4().hex}"
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'")
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
    return make_conninfo(admin_dsn, dbname=name)


def drop_database(admin_dsn: str, dsn: str) -> None:
    """Drop a database that ``create_database`` made, whoever is still connected to it."""
    name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(statement.format(sql.Identifier(str(name))))


async def migrate(dsn: str, shards: int | None = None) -> list[str]:
    """Apply the migrations, and distribute the tables over so many shards if any."""
    async with opened(PostgresDatabase(dsn, pool_max=1)) as database:
        applied = await Migrator(database).migrate()
        if shards:
            await Migrator(database).distribute(shards)
        return applied


def create_schema(citus_dsn: str) -> str:
    """Make a schema of a new name on a Citus cluster; returns its DSN."""
    name = f"orders_test_{uuid4().hex}"
    with psycopg.connect(citus_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    return make_conninfo(citus_dsn, options=f"-c search_path={name}")


def create_distributed_schema(citus_dsn: str) -> str:
    """The same, with the distributed tables."""
    dsn = create_schema(citus_dsn)
    asyncio.run(migrate(dsn, SHARDS))
    return dsn


def drop_schema(citus_dsn: str, dsn: str) -> None:
    """Drop a schema that ``create_schema`` made."""
    name = str(psycopg.conninfo.conninfo_to_dict(dsn)["options"]).rpartition("=")[2]
    with psycopg.connect(citus_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def template_database(postgres_dsn: str) -> Iterator[str]:
    """The name of a migrated database that nobody is connected to."""
    dsn = create_database(postgres_dsn)
    asyncio.run(migrate(dsn))
    yield str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])
    drop_database(postgres_dsn, dsn)


@pytest.fixture
def empty_database_dsn(postgres_dsn: str) -> Iterator[str]:
    """A database of this test's own, without a schema."""
    dsn = create_database(postgres_dsn)
    yield dsn
    drop_database(postgres_dsn, dsn)


@pytest.fixture
def schema_dsn(citus_dsn: str) -> Iterator[str]:
    """An empty schema of this test's own on a Citus cluster."""
    dsn = create_schema(citus_dsn)
    yield dsn
    drop_schema(citus_dsn, dsn)


@pytest.fixture
def distributed_dsn(schema_dsn: str) -> str:
    """The same with distributed tables."""
    asyncio.run(migrate(schema_dsn, SHARDS))
    return schema_dsn


@pytest.fixture
def database_dsn(postgres_dsn: str, template_database: str) -> Iterator[str]:
    """A migrated database of this test's own."""
    dsn = create_database(postgres_dsn, template_database)
    yield dsn
    drop_database(postgres_dsn, dsn)
