"""The option that names the database of the old service."""

import click

from orders import addresses
from orders.config import Settings

FROM_SETTINGS = "ORDERS_LEGACY_DSN"
"""The value of the option without a value."""

legacy_option = click.option(
    "--legacy",
    metavar="[DSN]",
    is_flag=False,
    flag_value=FROM_SETTINGS,
    help="Database of the old service; without DSN that of ORDERS_LEGACY_DSN, which hides a "
    "password from the list of processes.",
)


def legacy_dsn(given: str, settings: Settings) -> str:
    """Return the DSN that the option means; raises UsageError if there is none or it is wrong."""
    if given == FROM_SETTINGS:
        if settings.legacy_dsn is None:
            raise click.UsageError(f"--legacy needs a DSN, or {FROM_SETTINGS}")
        return settings.legacy_dsn
    if fault := addresses.postgres_fault(given):
        raise click.UsageError(f"--legacy: {fault}")
    return given
