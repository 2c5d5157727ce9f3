"""`orders config`: what is set, and what can be."""

import click

from orders.config import shown, variables
from orders.entrypoints.startup import settings_or_exit


class _WithVariables(click.Command):
    """Lists the variables under the help, from the one place that reads them."""

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
def config() -> None:
    """Check the configuration and print it, secrets hidden.

    One line a variable, for people to read; what is not set is a comment. Ends with 2 and lists
    every fault where something is wrong.

    \b
    Example:
      ORDERS_HTTP_PORT=9090 orders config
    """
    settings = settings_or_exit()
    for name, value in shown(settings).items():
        click.echo(f"# {name} is not set" if value is None else f"{name}={value}")
