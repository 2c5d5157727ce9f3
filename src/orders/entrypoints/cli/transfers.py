"""Runs imports, exports and comparisons: shows how far they are, and records how they end."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, Self, TypeVar

import structlog
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from orders.domain.errors import OrdersError
from orders.entrypoints.cli.dlq.running import map_errors
from orders.entrypoints.cli.dlq.stop_flag import StopFlag, stop_flag_signals

_LOG_SECONDS = 10.0

log = structlog.get_logger(__name__)


class TransferProgress:
    """A line on a terminal, else lines of the log."""

    def __init__(self, activity: str) -> None:
        self.orders = 0
        self._activity = activity
        self._began = time.monotonic()
        self._log_at = self._began + _LOG_SECONDS
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(activity)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, orders: int) -> None:
        """Show the number of orders so far."""
        self.orders = orders
        self._bar.update(
            self._task, description=f"{self._activity}: {orders:,} orders, {self.rate:,} a second"
        )
        if self._bar.disable and time.monotonic() >= self._log_at:
            log.info("transferring orders", orders=orders, per_second=self.rate)
            self._log_at = time.monotonic() + _LOG_SECONDS

    @property
    def rate(self) -> int:
        """Orders per second so far."""
        return round(self.orders / max(time.monotonic() - self._began, 1e-3))


class Report(Protocol):
    """What a transfer returns."""

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped before its end."""


_R = TypeVar("_R", bound=Report)


def run_transfer(
    transfer: Coroutine[Any, Any, _R],
    stop: StopFlag,
    record: Callable[[str], None],
    advice: Callable[[], str] = lambda: "",
) -> _R:
    """Run a transfer; signals set ``stop``, errors become exit codes.

    Args:
        transfer: the work.
        stop: what ``transfer`` looks at.
        record: called in the end with ``ok``, ``stopped``, ``failed`` or the code of the error.
        advice: what to add to the message of an error.
    """
    outcome = "failed"
    try:
        with stop_flag_signals(stop):
            report = asyncio.run(transfer)
        outcome = "stopped" if report.is_stopped else "ok"
    except OrdersError as error:
        outcome = error.code
        with map_errors(advice()):
            raise
    finally:
        record(outcome)
    return report
