"""Text that others wrote, made safe for a terminal; and how these commands show their progress."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_EVERY = 200

Advance = Callable[[str, int, int], None]
"""What is being done, and how much of how much is; 0 for as much as there is."""


def safe(text: str, *, keep_lines: bool = False) -> str:
    r"""``text`` with all that a terminal might obey, or would hide, as ``\uXXXX``.

    Controls, what turns the direction of text, halves of characters, what has no picture.
    """
    kept = "\n\t" if keep_lines else ""
    return "".join(c if c.isprintable() or c in kept else _escaped(c) for c in text)


def json_line(value: Any) -> str:
    """``value`` as one line of JSON in ASCII."""
    return json.dumps(value, separators=(",", ":"))


def write(text: str) -> None:
    """A line to standard output, whatever encoding that has."""
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(text.encode(encoding, errors="backslashreplace").decode(encoding))


@contextmanager
def progress() -> Iterator[Advance]:
    """A bar on standard error, where that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=None)

        def advance(what: str, done: int, total: int) -> None:
            if done % _EVERY == 0 or done == total or what == "sending":
                bar.update(task, description=what, completed=done, total=total or None)

        yield advance


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
