"""The progress bar for the download of the broker's jars."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from orders_dev import jars


def progress_on(
    console: Console, cancelled: Callable[[], None]
) -> Callable[[int, int], AbstractContextManager[jars.Progress]]:
    """Show the download as a bar on `console`.

    Args:
        console: where to show it; if it is not a terminal, one line is printed instead.
        cancelled: called for every chunk; raises to abort the download.
    """

    @contextmanager
    def bar(count: int, size: int) -> Iterator[jars.Progress]:
        what = f"Fetching Apache Kafka ({count} jars, once)"
        if not console.is_terminal:
            console.print(f"{what}: {size / 1e6:.0f} MB")

            def check(_arrived: int) -> None:
                cancelled()

            yield check
            return
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
            task = progress.add_task(what, total=size)

            def advance(arrived: int) -> None:
                cancelled()
                progress.advance(task, arrived)

            yield advance

    return bar
