"""The table at the end of the drills."""

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.table import Table

from drills.performing import Result

_COLUMNS = ("sent", "stored", "dead", "repeated", "held", "lost", "half", "doubled", "untrue")
_VIOLATIONS = ("lost", "half", "doubled", "untrue")


def table(results: Sequence[Result]) -> Table:
    """For a terminal."""
    made = Table("", title="Documents, and what became of them", box=SIMPLE, padding=(0, 1, 0, 0))
    made.add_column("drill", no_wrap=True)
    for name in (*_COLUMNS, "s"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("", no_wrap=True)
    for result in results:
        numbers = [_number(name, getattr(result.tally, name)) for name in _COLUMNS]
        state = "[green]ok[/]" if result.is_good else "[bold red]FAILED[/]"
        group, name = str(result.drill.group), result.drill.name
        made.add_row(group, name, *numbers, f"{result.seconds:.0f}", state)
    sums = [_number(name, sum(getattr(r.tally, name) for r in results)) for name in _COLUMNS]
    made.add_section()
    made.add_row("", "all", *sums, f"{sum(r.seconds for r in results):.0f}", "")
    return made


def markdown(results: Sequence[Result], seed: int) -> str:
    """For a page."""
    head = ("", "drill", *_COLUMNS, "s")
    lines = [f"Seed {seed}.", "", _row(head), _row(["---"] * len(head))]
    for result in results:
        numbers = [f"{getattr(result.tally, name):,}" for name in _COLUMNS]
        seconds = f"{result.seconds:.0f}"
        lines.append(_row([str(result.drill.group), result.drill.title, *numbers, seconds]))
    sums = [f"{sum(getattr(r.tally, name) for r in results):,}" for name in _COLUMNS]
    lines.append(_row(["", "all", *sums, f"{sum(r.seconds for r in results):.0f}"]))
    return "\n".join(lines) + "\n"


def _number(name: str, amount: int) -> str:
    text = f"{amount:,}"
    return f"[bold red]{text}[/]" if amount and name in _VIOLATIONS else text


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
