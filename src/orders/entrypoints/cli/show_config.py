"""The command `orders config`."""

import click

from orders.config import shown, variables
from orders.entrypoints.http.access.checks import keys_fault
from orders.entrypoints.startup import EXIT_CONFIG, NEEDED_BY, settings_or_exit


class _WithVariables(click.Command):
    """Adds the variables to the help text."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        rows = [
            (v.name, v.meaning + (f"  [{v.default}]" if v.default is not None else ""))
            for v in variables()
        ]
        with formatter.section("Variables"):
            formatter.write_dl(rows)
        formatter.write_paragraph()
        formatter.write_text("Each may be read from a file instead: the same name with _FILE.")


@click.command(cls=_WithVariables)
@click.option(
    "--for",
    "process",
    type=click.Choice(list(NEEDED_BY)),
    help="Check that all settings that this command needs are set, too.",
)
def config(process: str | None) -> None:
    """Check the configuration and print it without secrets.

    Prints one line per variable; those that are not set are comments. If something is wrong, it
    lists every fault and exits with 2. Files that are named are opened; no server is contacted.

    \b
    Examples:
      orders config --for consumer
      ORDERS_HTTP_PORT=9090 orders config
    """
    settings = settings_or_exit(NEEDED_BY[process] if process else ())
    if fault := keys_fault(settings):
        click.echo(f"orders: {fault}", err=True)
        raise SystemExit(EXIT_CONFIG)
    for name, value in shown(settings).items():
        click.echo(f"# {name} is not set" if value is None else f"{name}={value}")
