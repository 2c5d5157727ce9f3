"""The command `orders purge`."""

import asyncio
import calendar
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import structlog

from orders.bootstrap import Container, build, open_all
from orders.domain.errors import OrdersError
from orders.domain.use_cases.purge_orders import PurgeProgress, PurgeReport
from orders.entrypoints.audit import Audit, open_audit, operator
from orders.entrypoints.cli.counted import counted
from orders.entrypoints.cli.dlq.stop_flag import StopFlag, stop_flag_signals
from orders.entrypoints.startup import EXIT_FAILED, NEEDED_BY, settings_or_exit, start_logging

_AGE = re.compile(r"([1-9][0-9]{0,5})(h|d|w|mo|y)")
_LOG_SECONDS = 10.0

log = structlog.get_logger(__name__)


class Age(click.ParamType):  # type: ignore[type-arg]
    """An age, as the time that was so long ago; months and years are those of the calendar."""

    name = "age"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """See ``click.ParamType.convert``."""
        if isinstance(value, datetime):
            return value
        found = _AGE.fullmatch(str(value))
        try:
            if found:
                return _ago(int(found[1]), found[2], datetime.now(UTC))
        except (ValueError, OverflowError):
            pass
        return self.fail("not an age such as 90d, 26w, 18mo or 5y", param, ctx)


def _ago(amount: int, unit: str, now: datetime) -> datetime:
    if unit in {"mo", "y"}:
        months = now.year * 12 + now.month - 1 - amount * (12 if unit == "y" else 1)
        year, month = divmod(months, 12)
        day = min(now.day, calendar.monthrange(year, month + 1)[1])
        return now.replace(year=year, month=month + 1, day=day)
    return now - amount * {"h": timedelta(hours=1), "d": timedelta(1), "w": timedelta(7)}[unit]


@click.command()
@click.option(
    "--older-than",
    "before",
    type=Age(),
    help="Orders whose date_created is longer ago: 90d, 26w, 18mo or 5y.",
)
@click.option(
    "--tombstones-older-than",
    "tombstones_before",
    type=Age(),
    help="Tombstones of orders that were forgotten longer ago.",
)
@click.option("--dry-run", is_flag=True, help="Only count the orders.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(
    *, before: datetime | None, tombstones_before: datetime | None, dry_run: bool, yes: bool
) -> None:
    """Delete all orders of a certain age.

    They are deleted as by `orders forget`. The age is that of date_created, which the sender of an
    order sets. It works in chunks, the oldest orders first: after Ctrl-C, or an error, run it again
    to go on. It asks first; without a terminal it needs --yes.

    Tombstones stay until they are purged themselves. An order whose tombstone is gone is stored
    again if its message comes again: keep them for longer than the topic keeps messages, dead
    letters included.

    \b
    Examples:
      orders purge --older-than 5y --dry-run
      orders purge --older-than 18mo --yes
      orders purge --tombstones-older-than 1y
    """
    if before is None and tombstones_before is None:
        raise click.UsageError("say what to delete: --older-than or --tombstones-older-than")
    if before is None and dry_run:
        raise click.UsageError("--dry-run counts orders: it needs --older-than")
    settings = settings_or_exit(NEEDED_BY["purge"])
    start_logging(settings, "purge")
    if before and not (yes or dry_run):
        when = before.isoformat(sep=" ", timespec="seconds")
        click.confirm(f"Delete all orders that were created before {when}?", abort=True)
    stop = StopFlag()
    audit = open_audit(settings, "purge")
    container = build(settings, "purge")
    progress = _Progress()
    try:
        with stop_flag_signals(stop):
            report = asyncio.run(
                _purge(
                    container,
                    before,
                    tombstones_before,
                    progress=progress,
                    stop=stop,
                    audit=audit,
                    dry_run=dry_run,
                )
            )
    except OrdersError as error:
        raise click.ClickException(
            f"{error}; deleted {counted(progress.orders, 'order')}, run it again to go on"
        ) from None
    finally:
        progress.end()
    click.echo(_summary(report, before, tombstones_before, dry_run=dry_run))
    if report.is_stopped:
        click.echo("stopped: run it again to go on", err=True)
        raise SystemExit(EXIT_FAILED)


async def _purge(
    container: Container,
    before: datetime | None,
    tombstones_before: datetime | None,
    *,
    progress: "_Progress",
    stop: StopFlag,
    audit: Audit | None,
    dry_run: bool,
) -> PurgeReport:
    def record(uids: list[str], outcome: str) -> None:
        if audit is not None:
            audit.record("purged", uids, operator(), outcome)

    async with open_all(*container.cache_resources(), container.database()):
        use_case = container.purge_orders()
        report: PurgeReport = await use_case(
            before,
            tombstones_before,
            dry_run=dry_run,
            progress=progress,
            wants_stop=lambda: stop.is_set,
            on_purged=record,
        )
        return report


def _summary(
    report: PurgeReport,
    before: datetime | None,
    tombstones_before: datetime | None,
    *,
    dry_run: bool,
) -> str:
    lines = []
    if before:
        when = before.isoformat(sep=" ", timespec="seconds")
        verb = "would delete" if dry_run else "deleted"
        lines.append(f"{verb} {counted(report.orders, 'order')} created before {when}")
    if tombstones_before and not dry_run:
        lines.append(f"deleted {counted(report.tombstones, 'tombstone')}")
    return "\n".join(lines)


class _Progress:
    """Shows how far it is: a line that is written over on a terminal, else lines of the log."""

    def __init__(self) -> None:
        self.orders = 0
        self._is_terminal = sys.stderr.isatty()
        self._log_at = time.monotonic() + _LOG_SECONDS

    def __call__(self, progress: PurgeProgress) -> None:
        self.orders = progress.orders
        up_to = progress.up_to.isoformat() if progress.up_to else ""
        if self._is_terminal:
            click.echo(f"\r{progress.orders:,} orders, up to {up_to} ", nl=False, err=True)
        elif time.monotonic() >= self._log_at:
            log.info("purging", orders=progress.orders, up_to=up_to)
            self._log_at = time.monotonic() + _LOG_SECONDS

    def end(self) -> None:
        """End the line on the terminal."""
        if self._is_terminal and self.orders:
            click.echo(err=True)
