"""Output of the `orders dlq` commands: escaped text, JSON lines and progress."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from orders.entrypoints.cli.counted import counted

_EVERY = 200
_SLICE = 65_536

Advance = Callable[[str, int, int], None]
"""Called with the activity, the number of records done, and the total or 0."""


def escaped(text: str, *, keep_lines: bool = False) -> Iterator[str]:
    """Yield ``safe(text)`` in parts: it may have millions of characters."""
    allowed = "\n\t" if keep_lines else ""
    for at in range(0, len(text), _SLICE):
        part = text[at : at + _SLICE]
        yield "".join([c if c.isprintable() or c in allowed else _escaped(c) for c in part])


def safe(text: str) -> str:
    r"""Escape everything that is not printable as ``\uXXXX``, such as control characters."""
    return "".join(escaped(text))


def count(number: int) -> str:
    """Return a number of dead letters in words."""
    return counted(number, "dead letter")


def json_line(value: Any) -> str:
    """Encode ``value`` as one line of JSON in ASCII."""
    return json.dumps(value, separators=(",", ":"))


def write(text: str, *, end: str = "\n") -> None:
    """Write a line to standard output in any encoding."""
    encoding = sys.stdout.encoding or "utf-8"
    click.echo((text + end).encode(encoding, errors="backslashreplace").decode(encoding), nl=False)


@contextmanager
def progress() -> Iterator[Advance]:
    """Show a progress bar on standard error if that is a terminal."""
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


@lru_cache
def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
