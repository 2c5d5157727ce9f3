"""Startup of all processes: settings, logging, migrations, exit codes."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Protocol

import click
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from orders.config import ConfigError, Settings, load, unknown
from orders.domain.errors import OrdersError, Unavailable, UnsuitableDatabase
from orders.entrypoints import logs

EXIT_FAILED, EXIT_CONFIG = 1, 2
_CANCELLATION_SECONDS = 1.0
"""Seconds that a task may take to end before it is cancelled again."""
_LONGEST_WAIT = 5.0
"""The longest wait between two attempts, in seconds."""

log = structlog.get_logger(__name__)

NEEDED = ("postgres_dsn", "kafka_bootstrap")
"""Settings without a default that the API and the consumer require."""
NEEDED_BY = {
    "api": NEEDED,
    "consumer": NEEDED,
    "forget": ("postgres_dsn",),
    "migrate": ("postgres_dsn",),
    "purge": ("postgres_dsn",),
    "generate": ("kafka_bootstrap",),
    "import": ("kafka_bootstrap",),
    "import-direct": ("postgres_dsn",),
    "export": ("postgres_dsn",),
    "compare": ("postgres_dsn",),
    "dlq": ("kafka_bootstrap",),
}
"""The same by command."""


class Migrates(Protocol):
    """Applies migrations."""

    async def migrate(self) -> Sequence[str]:
        """Apply missing migrations and return them; raises Unavailable or UnsuitableDatabase."""

    async def verify(self) -> Sequence[str]:
        """Apply none and return none; raises as ``migrate`` does."""


def settings_or_exit(required: Sequence[str] = ()) -> Settings:
    """Return the settings; if they are not valid, print all faults and exit with 2.

    An unknown variable with our prefix is reported, but is not a fault: the platform may set it.
    """
    for name in unknown(os.environ):
        click.echo(f"orders: {name}: no such setting, ignored", err=True)
    try:
        return load(os.environ, required=required)
    except ConfigError as error:
        for fault in error.faults:
            click.echo(f"orders: {fault}", err=True)
        click.echo("orders: `orders config --help` lists all variables", err=True)
        raise SystemExit(EXIT_CONFIG) from None


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Exit if the block fails: with 2 for an unsuitable database, with 1 for any other error."""
    try:
        yield
    except OrdersError as error:
        log.critical("cannot continue", reason=str(error))
        is_unsuitable = isinstance(error, UnsuitableDatabase)
        raise SystemExit(EXIT_CONFIG if is_unsuitable else EXIT_FAILED) from None
    except Exception as error:
        log.critical("cannot continue", exc_info=error)
        raise SystemExit(EXIT_FAILED) from None


def start_logging(settings: Settings, process: str) -> None:
    """Configure logging by the settings; each line has the name of this process."""
    more = []
    if settings.tracing:
        from orders.entrypoints.trace_ids import add_trace_ids  # noqa: PLC0415 (an extra)

        more = [add_trace_ids]
    logs.configure(settings.log_level, settings.log_format, process=process, more=more)


async def migrate_patiently(migrator: Migrates, *, apply: bool) -> None:
    """Apply missing migrations, or only verify the database; waits as long as it is down.

    Raises:
        UnsuitableDatabase: the database has a newer schema than this version knows, or cannot hold
            every order.
    """
    reported: str | None = None

    def report(state: RetryCallState) -> None:
        nonlocal reported
        reason = str(state.outcome.exception()) if state.outcome else None
        if reason != reported:
            log.warning("waiting for the database", reason=reason)
        reported = reason

    waiting = AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_random_exponential(multiplier=0.2, max=_LONGEST_WAIT),
        before_sleep=report,
        sleep=asyncio.sleep,
        reraise=True,
    )
    async for attempt in waiting:
        with attempt:
            applied = await (migrator.migrate() if apply else migrator.verify())
            if applied:
                log.info("schema brought up to date", applied=list(applied))


@asynccontextmanager
async def in_background(work: Awaitable[None]) -> AsyncIterator[None]:
    """Run ``work`` in the background; an error ends the process with the exit code for it."""

    async def watched() -> None:
        with exit_on_error():
            await work

    task = asyncio.create_task(watched())
    try:
        yield
    finally:
        await end(task)


async def end(task: asyncio.Future[None]) -> None:
    """Cancel a task until it ends; raises its error, if any.

    Once may be too few: psycopg's pool takes a cancellation while it connects for a failure of the
    connection, which is tried again.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CANCELLATION_SECONDS)
    with suppress(asyncio.CancelledError):
        task.result()
