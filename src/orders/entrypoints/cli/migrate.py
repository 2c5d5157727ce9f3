"""The command `orders migrate`."""

import asyncio
from collections.abc import Sequence

import click

from orders.bootstrap import build, open_all
from orders.config import Settings
from orders.domain.errors import OrdersError, UnsuitableDatabase
from orders.entrypoints.startup import EXIT_CONFIG, NEEDED_BY, settings_or_exit, start_logging


@click.command()
def migrate() -> None:
    """Apply missing migrations to the database.

    Several may run at the same time: they wait for each other. Exits with 1 if the database is
    down or denies a right, and with 2 if its schema is newer than this version knows, or its
    encoding is not UTF-8.

    \b
    Example:
      ORDERS_POSTGRES_DSN=postgresql://orders@db/orders orders migrate
    """
    settings = settings_or_exit(NEEDED_BY["migrate"])
    start_logging(settings, "migrate")
    try:
        applied = asyncio.run(_migrate(settings))
    except UnsuitableDatabase as error:
        click.echo(f"orders: {error}", err=True)
        raise SystemExit(EXIT_CONFIG) from None
    except OrdersError as error:
        raise click.ClickException(str(error)) from None
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("the schema is up to date")


async def _migrate(settings: Settings) -> Sequence[str]:
    container = build(settings)
    async with open_all(container.database()):
        applied: Sequence[str] = await container.migrator().migrate()
        return applied
