"""The command `orders`: finds the subcommand, and imports no other."""

import os
import signal
import sys
from importlib import import_module

import click

_COMMANDS = {
    "api": "orders.entrypoints.http.command:api",
    "config": "orders.entrypoints.tools.config:config",
    "consumer": "orders.entrypoints.consumer.command:consumer",
    "dev": "orders.entrypoints.dev.command:dev",
    "dlq": "orders.entrypoints.tools.dlq.command:dlq",
    "doctor": "orders.entrypoints.tools.doctor:doctor",
    "generate": "orders.entrypoints.tools.generate:generate",
    "migrate": "orders.entrypoints.tools.migrate:migrate",
}


_SERVICES = (["api"], ["consumer"])


class _LazyGroup(click.Group):
    """Start time is what an operator waits for: a process loads what it uses."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        target = _COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, name = target.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


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
