"""The command `orders migrate`."""

import asyncio
from collections.abc import Sequence

import click

from orders.bootstrap import build, open_all
from orders.config import Settings
from orders.domain.errors import OrdersError, UnsuitableDatabase
from orders.entrypoints.startup import EXIT_CONFIG, NEEDED_BY, settings_or_exit, start_logging

_SHARDS = 32


@click.command()
@click.option("--distribute", is_flag=True, help="Then distribute the tables over a Citus cluster.")
@click.option(
    "--shards",
    type=click.IntRange(1, 64_000),
    help=f"Shards of each table, with --distribute.  [default: {_SHARDS}]",
)
def migrate(*, distribute: bool, shards: int | None) -> None:
    """Apply missing migrations to the database.

    Several may run at the same time: they wait for each other. Exits with 1 if the database is
    down or denies a right, and with 2 if its schema is newer than this version knows, its encoding
    is not UTF-8, or it is to be distributed and has no Citus.

    \b
    Examples:
      ORDERS_POSTGRES_DSN=postgresql://orders@db/orders orders migrate
      ORDERS_POSTGRES_DSN=postgresql://orders@coordinator/orders \\
        orders migrate --distribute --shards 64
    """
    if shards is not None and not distribute:
        raise click.UsageError("--shards is for --distribute")
    settings = settings_or_exit(NEEDED_BY["migrate"])
    start_logging(settings, "migrate")
    try:
        applied, distributed = asyncio.run(
            _migrate(settings, (shards or _SHARDS) if distribute else None)
        )
    except UnsuitableDatabase as error:
        click.echo(f"orders: {error}", err=True)
        raise SystemExit(EXIT_CONFIG) from None
    except OrdersError as error:
        raise click.ClickException(str(error)) from None
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("the schema is up to date")
    if distributed:
        click.echo(f"distributed {', '.join(distributed)} over {shards or _SHARDS} shards")
    elif distribute:
        click.echo("the tables are distributed already: their shards stay as they are")


async def _migrate(settings: Settings, shards: int | None) -> tuple[Sequence[str], Sequence[str]]:
    """Migrate, and distribute the tables over so many shards unless None."""
    container = build(settings, "migrate")
    async with open_all(container.database()):
        migrator = container.migrator()
        applied: Sequence[str] = await migrator.migrate()
        return applied, () if shards is None else await migrator.distribute(shards)
