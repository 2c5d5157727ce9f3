"""The command behind `make drill`."""

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from drills.catalog import DRILLS
from drills.drill import CITUS, Drill
from drills.performing import Result, perform
from drills.report import markdown, table
from drills.servers import CitusServers, Servers


@click.command()
@click.argument("names", nargs=-1)
@click.option("--seed", type=int, help="Repeat what this seed did; otherwise one is chosen.")
@click.option("--short", is_flag=True, help="The set that `make test` runs.")
@click.option("--keep", is_flag=True, help="Keep the folder with data and logs.")
@click.option("--markdown", "page", type=click.Path(path_type=Path), help="Write the table here.")
def main(
    names: Sequence[str], seed: int | None, *, short: bool, keep: bool, page: Path | None
) -> None:
    """Run the fault drills, all of them or those NAMED (by name or number of their group).

    Ends with 1 where an order was lost, half stored or doubled, or something else went wrong.
    """
    console = Console()
    chosen = [d for d in DRILLS if not names or d.name in names or str(d.group) in names]
    if not chosen:
        raise click.UsageError(f"no such drill; there are {', '.join(d.name for d in DRILLS)}")
    if seed is None:
        seed = random.SystemRandom().randrange(1_000_000)
    for drill in chosen:
        if drill.missing:
            console.print(f"left out: {drill.name}: {drill.missing}")
    chosen = [drill for drill in chosen if not drill.missing]
    console.print(f"{len(chosen)} drills, seed {seed}")
    folder = Path(tempfile.mkdtemp(prefix="orders-drill-"))
    results: list[Result] = []
    try:
        results = _perform_all(chosen, folder, seed, console, long=not short)
    finally:
        if keep or not all(result.is_good for result in results):
            console.print(f"logs and data are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    # A table that is cut says nothing; where there is no terminal, nothing need be cut.
    Console(width=None if console.is_terminal else 140).print(table(results))
    if page:
        page.write_text(markdown(results, seed), "utf-8")
    for result in results:
        for line in (*([result.failure] if result.failure else []), *result.tally.findings):
            console.print(f"{result.drill.name}: {line}", markup=False, soft_wrap=True)
    sys.exit(0 if all(result.is_good for result in results) else 1)


def _perform_all(
    drills: Sequence[Drill], folder: Path, seed: int, console: Console, *, long: bool
) -> list[Result]:
    """In their order, on one set of servers for each number of brokers."""
    results = []
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(TimeElapsedColumn(), TextColumn("{task.fields[now]}")),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("drills", total=len(drills), now="starting the servers")
        for brokers, on_citus in dict.fromkeys(map(_servers_of, drills)):
            servers = _servers(folder, brokers, on_citus=on_citus)
            try:
                servers.heal()
                for drill in (d for d in drills if _servers_of(d) == (brokers, on_citus)):

                    def say(text: str, drill: Drill = drill) -> None:
                        progress.update(task, now=f"{drill.name}: {text}")
                        if not console.is_terminal and os.environ.get("DRILL_VERBOSE"):
                            console.print(f"  {drill.name}: {text}", markup=False)

                    say(drill.title)
                    result = perform(drill, servers, folder, seed, long=long, say=say)
                    results.append(result)
                    state = "ok" if result.is_good else "FAILED"
                    console.print(f"{state:6} {drill.name} in {result.seconds:.0f} s")
                    progress.advance(task)
            finally:
                servers.stop()
    return results


def _servers_of(drill: Drill) -> tuple[int, bool]:
    return drill.brokers, drill.needs == "citus"


def _servers(folder: Path, brokers: int, *, on_citus: bool) -> Servers:
    if on_citus:
        return CitusServers(folder / "servers-citus", os.environ[CITUS])
    return Servers(folder / f"servers-{brokers}", brokers)


if __name__ == "__main__":
    main()
