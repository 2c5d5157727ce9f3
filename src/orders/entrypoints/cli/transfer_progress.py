"""Shows how far an import or an export is."""

import sys
import time
from typing import Self

import structlog
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

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
