"""The command `orders`, which imports only the subcommand that is used."""

import errno
import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import click


class _Lazy(NamedTuple):
    """A command that is imported on use, and its line in `orders --help`."""

    target: str
    summary: str


_COMMANDS = {
    "api": _Lazy(
        "orders.entrypoints.cli.api:api",
        "Serve orders over HTTP until stopped.",
    ),
    "compare": _Lazy(
        "orders.entrypoints.cli.compare:compare",
        "Compare the orders of the old service with those stored here.",
    ),
    "config": _Lazy(
        "orders.entrypoints.cli.show_config:config",
        "Check the configuration and print it without secrets.",
    ),
    "consumer": _Lazy(
        "orders.entrypoints.cli.consumer:consumer",
        "Store orders from the topic until stopped.",
    ),
    "dev": _Lazy(
        "orders_dev.dev_command:dev",
        "Run the whole system on this machine, on real servers.",
    ),
    "dlq": _Lazy(
        "orders.entrypoints.cli.dlq.command:dlq",
        "Inspect, replay and delete dead letters.",
    ),
    "doctor": _Lazy(
        "orders.entrypoints.cli.doctor:doctor",
        "Check the servers and topics, and say what is wrong and what to do.",
    ),
    "export": _Lazy(
        "orders.entrypoints.cli.export_orders:export_orders",
        "Export stored orders to a file or to standard output.",
    ),
    "forget": _Lazy(
        "orders.entrypoints.cli.forget:forget",
        "Delete orders for good, and keep them from coming back.",
    ),
    "generate": _Lazy(
        "orders.entrypoints.cli.generate:generate",
        "Create AMOUNT random orders and send them to the topic.",
    ),
    "health": _Lazy(
        "orders.entrypoints.cli.health:health",
        "Ask the API or the consumer on this machine whether it is ready.",
    ),
    "import": _Lazy(
        "orders.entrypoints.cli.import_orders:import_orders",
        "Import orders from files, from standard input, or from the old service.",
    ),
    "keys": _Lazy(
        "orders.entrypoints.cli.keys:keys",
        "Create, list and revoke keys of the API.",
    ),
    "migrate": _Lazy(
        "orders.entrypoints.cli.migrate:migrate",
        "Apply missing migrations to the database.",
    ),
    "purge": _Lazy(
        "orders.entrypoints.cli.purge:purge",
        "Delete all orders of a certain age.",
    ),
}


_UNUSED = {
    "api": ("opentelemetry", "rich", "snappy", "werkzeug", "zstandard"),
    "consumer": ("opentelemetry", "rich", "snappy", "werkzeug", "yaml", "zstandard"),
}
"""What libraries of the services import if it is installed, for features that no service uses.

With it a process would take up to 10 MB more (docs/performance.md). Tracing imports opentelemetry
later, if it is on.
"""

_WRITE_ERRORS = {
    *(errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF),
}


class _LazyGroup(click.Group):
    """A group that imports a subcommand on use, for a quick start."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        found = _COMMANDS.get(cmd_name)
        if found is None:
            return None
        module, _, name = found.target.partition(":")
        # Imports create no garbage. Frozen objects are not traversed again, so that workers
        # share their memory pages.
        gc.disable()
        try:
            with _hidden(_UNUSED.get(cmd_name, ())):
                command: click.Command = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "orders_dev":
                raise
            # The production image does not contain it.
            raise click.UsageError(
                "the development stack is not part of this installation"
            ) from None
        finally:
            gc.freeze()
            gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands; click would import all of them for their first lines."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, found.summary) for name, found in _COMMANDS.items()])


@contextmanager
def _hidden(packages: Sequence[str]) -> Iterator[None]:
    """Have ``packages`` appear not to be installed, unless they have been imported already."""
    hidden: dict[str, Any] = dict.fromkeys(name for name in packages if name not in sys.modules)
    sys.modules.update(hidden)
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="orders", prog_name="orders")
def main() -> None:
    """Orders from Kafka: checked, stored in PostgreSQL, cached in Redis, served over HTTP.

    \b
    orders dev          the whole system on this machine, on real servers
    orders api          the HTTP API                   } configured by
    orders consumer     from the topic to the database } ORDERS_* variables

    Exit codes: 0 success, 1 failure, 2 wrong usage or configuration.
    """


@contextmanager
def _checked_output() -> Iterator[None]:
    """End in one line if standard output cannot be written; a closed pipe is not reported."""
    if sys.stdout is None:  # it was closed when the process started
        sys.exit("Error: standard output is closed")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # else it would fail at exit, with a traceback
    except OSError as error:
        if error.errno not in _WRITE_ERRORS:
            raise
        # The interpreter flushes again at exit.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if error.errno == errno.EPIPE:
            sys.exit(1)
        sys.exit(f"Error: standard output cannot be written: {error.strerror}")


def run() -> None:
    """Run the command; the entry point of the process."""
    if sys.argv[1:2] and sys.argv[1] in _UNUSED:
        # During the imports there is nothing to finish; a service sets its own handlers
        # afterwards.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: os._exit(0))
        main()
    else:
        with _checked_output():
            main()
