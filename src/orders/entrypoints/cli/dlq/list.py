"""`orders dlq list`: which dead letters there are."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orders.domain.dead_letters.index import Selection, State
from orders.domain.intake.messages import ErrorCode
from orders.domain.use_cases.list_dead_letters import (
    DeadLetterList,
    ListDeadLetters,
    ListedDeadLetter,
)
from orders.entrypoints.cli.dlq import options
from orders.entrypoints.cli.dlq.running import container_of, map_errors
from orders.entrypoints.cli.dlq.terminal import json_line, progress, safe, write

_NAME_WIDTH = 40
"""Characters of a name that stand in one line; topics may have 249."""
_DETAIL_WIDTH = 24
_DETAIL_LINES = 3


@click.command()
@options.code_option
@options.since_option
@options.until_option
@click.option(
    "--state",
    "states",
    type=click.Choice(get_args(State)),
    multiple=True,
    help="Only dead letters in this state; may be given several times.",
)
@options.max_attempts_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Most rows of the table: the latest failures. --json lists all.",
)
@options.json_option
@click.pass_context
def list_letters(
    context: click.Context,
    /,
    *,
    codes: tuple[ErrorCode, ...],
    since: datetime | None,
    until: datetime | None,
    states: tuple[State, ...],
    max_attempts: int,
    limit: int,
    as_json: bool,
) -> None:
    """List dead letters, each once, in the order in which they failed.

    A dead letter waits until it is replayed, and is exhausted once it has failed too often.

    \b
    Examples:
      orders dlq list
      orders dlq list --code invalid --since 2h
      orders dlq list --state waiting --json | jq -r .identity
    """
    use_case = container_of(context).list_dead_letters()
    selection = Selection(codes=frozenset(codes), since=since, until=until)
    with map_errors():
        found = asyncio.run(_find(use_case, selection, frozenset(states), max_attempts))
    if as_json:
        for listed in found.letters:
            click.echo(json_line(_as_json(listed)))
    else:
        _print(found, limit)


async def _find(
    use_case: ListDeadLetters, selection: Selection, states: frozenset[State], max_attempts: int
) -> DeadLetterList:
    with progress() as advance:
        return await use_case(
            selection, states, max_attempts, lambda done, total: advance("reading", done, total)
        )


def _print(found: DeadLetterList, limit: int) -> None:
    if found.letters:
        # Whatever the terminal, a letter's text is text: no markup, no emoji codes, no links.
        console = Console(markup=False, highlight=False, emoji=False)
        _print_table(console, found.letters[-limit:])
        if len(found.letters) > limit:
            write(f"{len(found.letters) - limit} earlier ones are not shown: --limit, --json")
        write(f"{_amount(len(found.letters))}: {_counts(found.by_code)}; {_counts(found.by_state)}")
    else:
        write("no dead letters")
    if found.unrecognized:
        write(f"messages on the topic that are no dead letters of ours: {found.unrecognized}")
    if found.hidden:
        write(f"dead letters behind newer ones of the same name: {found.hidden}")


def _print_table(console: Console, letters: tuple[ListedDeadLetter, ...]) -> None:
    has_one_topic = len({listed.identity.origin.topic for listed in letters}) == 1
    rows = []
    for listed in letters:
        letter = listed.letter
        name = _short(listed) if has_one_topic else str(listed.identity)
        failed_at = letter.failed_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
        rows.append((name, letter.code, str(letter.attempt), listed.state, failed_at))
    headings = ("letter", "code", "try", "state", "failed at (UTC)")
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    widths[0] = min(widths[0], _NAME_WIDTH)
    taken = sum(widths) + len(widths)
    # Rich would make columns vanish where there is no room; a terminal only breaks long lines.
    console.width = max(console.width, taken + _DETAIL_WIDTH)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading, width in zip(headings, widths, strict=True):
        table.add_column(heading, width=width, overflow="fold")
    table.add_column("what is wrong", overflow="fold")
    room = (console.width - taken - 1) * _DETAIL_LINES
    for listed, row in zip(letters, rows, strict=True):
        detail = Text(safe(listed.letter.detail))
        detail.truncate(room, overflow="ellipsis")
        table.add_row(*map(Text, row), detail)
    console.print(table)


def _short(listed: ListedDeadLetter) -> str:
    origin = listed.identity.origin
    return f"{origin.partition}:{origin.offset}:{listed.identity.index}"


def _as_json(listed: ListedDeadLetter) -> dict[str, Any]:
    letter, origin = listed.letter, listed.identity.origin
    return {
        "identity": str(listed.identity),
        "topic": origin.topic,
        "partition": origin.partition,
        "offset": origin.offset,
        "index": listed.identity.index,
        "code": letter.code,
        "detail": letter.detail,
        "failed_at": letter.failed_at.isoformat(),
        "attempt": letter.attempt,
        "state": listed.state,
        "replayed_at": listed.replayed_at and listed.replayed_at.isoformat(),
        "bytes": letter.size,
    }


def _amount(number: int) -> str:
    return "1 dead letter" if number == 1 else f"{number} dead letters"


def _counts(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
