"""The command `orders`: finds the subcommand, and imports no other."""

import gc
import os
import signal
import sys
from importlib import import_module
from typing import NamedTuple

import click


class _Lazy(NamedTuple):
    """A command that is not loaded yet, and the line that `orders --help` has on it."""

    target: str
    summary: str


_COMMANDS = {
    "api": _Lazy(
        "orders.entrypoints.http.command:api",
        "Serve orders over HTTP, until told to stop.",
    ),
    "config": _Lazy(
        "orders.entrypoints.cli.show_config:config",
        "Check the configuration and print it, secrets hidden.",
    ),
    "consumer": _Lazy(
        "orders.entrypoints.consumer.command:consumer",
        "Take orders from the topic, check and store them, until told to stop.",
    ),
    "dev": _Lazy(
        "orders_dev.command:dev",
        "Run the whole system on this machine, on real servers.",
    ),
    "dlq": _Lazy(
        "orders.entrypoints.cli.dlq.command:dlq",
        "Look at dead letters, and send them again.",
    ),
    "doctor": _Lazy(
        "orders.entrypoints.cli.doctor:doctor",
        "Look at all that the service rests on, and say what is wrong and what to do next.",
    ),
    "generate": _Lazy(
        "orders.entrypoints.cli.generate:generate",
        "Make AMOUNT random orders and send them to the topic.",
    ),
    "migrate": _Lazy(
        "orders.entrypoints.cli.migrate:migrate",
        "Apply the migrations that the database lacks.",
    ),
}


_SERVICES = (["api"], ["consumer"])


class _LazyGroup(click.Group):
    """Start time is what an operator waits for: a process loads what it uses."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        found = _COMMANDS.get(cmd_name)
        if found is None:
            return None
        module, _, name = found.target.partition(":")
        # A tenth of the time of loading would go into looking for garbage, of which there is none
        # yet. What is loaded stays: nothing looks at it again, and workers share it.
        gc.disable()
        try:
            command: click.Command = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "orders_dev":
                raise
            # The image for production leaves it out.
            raise click.UsageError(
                "the development stack is not part of this installation"
            ) from None
        finally:
            gc.freeze()
            gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does it, which would load them all for the sake of their first lines."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, found.summary) for name, found in _COMMANDS.items()])


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="orders", prog_name="orders")
def main() -> None:
    """Orders: from Kafka, checked, into PostgreSQL, cached in Redis, out over HTTP.

    \b
    orders dev          all of it on this machine, on real servers
    orders api          the HTTP API      } for operators; everything
    orders consumer     topic to database } comes from ORDERS_* variables

    Exit codes: 0 stopped as asked, 1 failed, 2 wrong usage or configuration.
    """


def run() -> None:
    """The entry of the process."""
    if sys.argv[1:2] in _SERVICES:
        # Loading takes most of a second. Nothing has begun that would have to be finished, and a
        # service that has loaded has its own way to end.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: os._exit(0))
    main()
