"""The command `orders dev`."""

import signal
import sys
import threading
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from orders.entrypoints.startup import EXIT_CONFIG, EXIT_FAILED, settings_or_exit
from orders_dev.errors import DevError, UsageError, of_system
from orders_dev.requirements import check_machine, check_system

_STOP_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []),
)
DEFAULT_DATA = Path(".orders")


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    show_default=True,
    help="Folder for all data; created if missing.",
)
@click.option("--reset", is_flag=True, help="Delete the data of earlier runs first.")
@click.option(
    "--demo",
    type=click.FloatRange(min=0, min_open=True),
    metavar="RATE",
    help="Send as many made-up orders a second.",
)
def dev(data: Path, *, reset: bool, demo: float | None) -> None:
    """Run the whole system on this machine, on real servers.

    Starts PostgreSQL, Valkey and Apache Kafka as ordinary processes (no Docker, no root, nothing
    to install), then `orders consumer` and `orders api`, and shows their addresses. The first run
    downloads Apache Kafka (44 MB). Ctrl-C stops everything; the data stay for the next run.

    The settings are those of the other commands (`orders config --help`). If ORDERS_POSTGRES_DSN,
    ORDERS_REDIS_URL or ORDERS_KAFKA_BOOTSTRAP is set, that server is used and none is started.

    \b
    Examples:
      orders dev
      orders dev --data /tmp/try --reset
      orders dev --demo 2
      ORDERS_HTTP_PORT=9000 orders dev
    """
    settings = settings_or_exit()
    console = Console()
    stop = threading.Event()
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        check_system(sys.platform)
        if not (settings.postgres_dsn and settings.redis_url and settings.kafka_bootstrap):
            check_machine()
        # Imported here: it does not load on every platform.
        from orders_dev.local_system import run  # noqa: PLC0415

        run(settings, data, console, stop, reset=reset, demo=demo)
    except (DevError, OSError) as failure:
        error = failure if isinstance(failure, DevError) else of_system(failure)
        stderr = Console(stderr=True)
        stderr.print(Text(error.message, style="bold red"), soft_wrap=True)
        if error.advice:
            stderr.print(Text(error.advice), soft_wrap=True)
        sys.exit(EXIT_CONFIG if isinstance(error, UsageError) else EXIT_FAILED)
