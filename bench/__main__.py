"""The command behind `make bench`."""

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import readme
from bench.catalog import LARGE, NAMES, perform
from bench.figures import Figure
from bench.machine import assert_durable, described
from bench.picture import svg
from bench.place import ROOT, CheckFailed, Place
from bench.report import as_json, between_marks, grouped, markdown, table
from bench.sizes import FULL, QUICK

_FILE = Path("test-artifacts/bench.json")
_DOCS = ROOT / "docs"
_path = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice((*NAMES, LARGE)))
@click.option("--quick", is_flag=True, help="Less of everything: it shows that all of it works.")
@click.option("--orders", type=click.IntRange(100_000), help=f"Of the row {LARGE}.")
@click.option("--json", "file", type=_path, default=_FILE, help="Where the figures go.")
@click.option("--picture", type=_path, help="Draw the targets into this SVG file.")
@click.option(
    "--markdown", "page", type=_path, help="Put the table between the marks of this page."
)
@click.option("--docs", is_flag=True, help="All three, into docs/, and the READMEs' figures.")
@click.option("--strict", is_flag=True, help="End with 1 where a target is missed as well.")
@click.option("--keep", is_flag=True, help="Keep the folder with data and logs.")
def main(
    names: Sequence[str],
    file: Path,
    picture: Path | None,
    page: Path | None,
    *,
    orders: int | None,
    quick: bool,
    docs: bool,
    strict: bool,
    keep: bool,
) -> None:
    """Measure the product beside others and the limits of the machine, all rows or those NAMED.

    Ends with 1 where something is stored or answered that was not sent. A missed target is shown in
    the table, and is no failure unless --strict says so.
    """
    if docs:
        if names:
            raise click.UsageError("--docs shows all rows: leave the names out")
        file, picture, page = _DOCS / "bench.json", _DOCS / "bench.svg", _DOCS / "performance.md"
    console = Console()
    signal.signal(signal.SIGTERM, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="orders-bench-"))
    figures: list[Figure] = []
    about: dict[str, Any] = {"quick": quick}
    sizes = QUICK if quick else FULL
    if orders:
        sizes = sizes._replace(huge=orders)
    began = time.monotonic()
    failed = ""
    try:
        _measure(
            [name for name in (*NAMES, LARGE) if name in (names or NAMES)],
            Place(folder, sizes, lambda _text: None),
            figures,
            about,
            console,
        )
    except CheckFailed as error:
        failed = str(error)
    finally:
        _be_left_alone()
        if keep:
            console.print(f"logs and data are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    figures = grouped(figures)
    about["minutes"] = round((time.monotonic() - began) / 60, 1)
    _show(figures, about, console)
    if failed:
        console.print(f"FAILED: {failed}", markup=False, style="bold red", soft_wrap=True)
        sys.exit(1)
    _write(figures, about, file, picture, page)
    if docs:
        readme.write(as_json(figures, about))
    console.print(f"{about['minutes']} minutes; all figures are in {file}")
    sys.exit(1 if strict and any(figure.is_met is False for figure in figures) else 0)


def _measure(
    names: list[str], place: Place, figures: list[Figure], about: dict[str, Any], console: Console
) -> None:
    began = time.monotonic()
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(TimeElapsedColumn(), TextColumn("{task.fields[now]}")),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("bench", total=len(names), now="starting the servers")

        def say(text: str) -> None:
            progress.update(task, now=text)

        def done(name: str, found: list[Figure]) -> None:
            figures.extend(found)
            progress.advance(task)
            seconds = about.setdefault("seconds", {})
            seconds[name] = round(time.monotonic() - began - sum(seconds.values()), 1)
            console.print(f"{name} in {seconds[name]:.0f} s")

        place.say = say
        try:
            place.open()
            servers = place.servers
            about["machine"] = described(servers.postgres_dsn, servers.redis_url)
            about["durability"] = assert_durable(servers.postgres_dsn)
            about["skipped"] = place.skipped
            perform(place, names, done)
        finally:
            _be_left_alone()
            say("stopping the servers")
            place.close()


def _show(figures: Sequence[Figure], about: dict[str, Any], console: Console) -> None:
    Console(width=None if console.is_terminal else 160).print(table(figures))
    for figure in figures:
        if figure.note:
            console.print(f"{figure.row}, {figure.what}: {figure.note}", markup=False, style="dim")
    for name, reason in about.get("skipped", {}).items():
        console.print(f"SKIPPED, {name}: {reason}", markup=False, style="bold yellow")


def _write(
    figures: Sequence[Figure],
    about: dict[str, Any],
    file: Path,
    picture: Path | None,
    page: Path | None,
) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    found = json.dumps(as_json(figures, about), indent=1, ensure_ascii=False)
    file.write_text(found + "\n", "utf-8")
    if picture:
        picture.write_text(svg(figures), "utf-8")
    if page:
        table = markdown(figures, about, _seen(picture, page), _seen(file, page))
        page.write_text(between_marks(page.read_text("utf-8"), table), "utf-8")


def _seen(path: Path | None, page: Path) -> str:
    """How the page can name a file that lies beside it."""
    return path.name if path and path.resolve().parent == page.resolve().parent else ""


def _be_left_alone() -> None:
    """What is being cleaned up is cleaned up, however often somebody asks for the end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """What ends us in good order ends what we have started."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
