"""The command `orders dlq list`."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orders.bootstrap import open_all
from orders.domain.dead_letters.index import Selection, State
from orders.domain.intake.messages import ErrorCode
from orders.domain.use_cases.list_dead_letters import (
    DeadLetterList,
    ListDeadLetters,
    ListedDeadLetter,
)
from orders.entrypoints.cli.dlq import options
from orders.entrypoints.cli.dlq.running import container_of, map_errors
from orders.entrypoints.cli.dlq.terminal import count, json_line, progress, safe, write

_NAME_WIDTH = 40
"""The width of the first column; names of topics may have 249 characters."""
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
    help="Only dead letters in this state; can be repeated.",
)
@options.max_attempts_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="The most rows of the table, the latest failures; --json lists all.",
)
@options.json_option
@click.pass_context
def list_dead_letters(
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
    """List dead letters, each once, in the order of their failures.

    A dead letter is waiting until it is replayed, and exhausted when it has failed too often.

    \b
    Examples:
      orders dlq list
      orders dlq list --code invalid --since 2h
      orders dlq list --state waiting --json | jq -r .identity
    """
    container = container_of(context)
    selection = Selection(codes=frozenset(codes), since=since, until=until)

    async def run() -> None:
        use_case: ListDeadLetters = container.list_dead_letters()
        async with open_all(*container.dead_letter_resources()):
            with progress() as advance:
                found = await use_case(
                    selection,
                    frozenset(states),
                    max_attempts,
                    None if as_json else limit,
                    lambda done, total: advance("reading", done, total),
                )
            if as_json:
                async for listed in found.dead_letters:
                    click.echo(json_line(_as_json(listed)))
            else:
                _print(found, [listed async for listed in found.dead_letters])

    with map_errors():
        asyncio.run(run())


def _print(found: DeadLetterList, listed: Sequence[ListedDeadLetter]) -> None:
    number = sum(found.by_code.values())
    if number:
        # The text of a dead letter must not be interpreted: no markup, emoji codes or links.
        console = Console(markup=False, highlight=False, emoji=False)
        _print_table(console, listed)
        if number > len(listed):
            write(f"{number - len(listed):,} earlier ones are not shown; use --limit or --json")
        write(f"{count(number)}: {_counts(found.by_code)}; {_counts(found.by_state)}")
    else:
        write("no dead letters")
    if found.unrecognized:
        write(f"records on the topic that are not dead letters of ours: {found.unrecognized:,}")
    if found.hidden:
        write(f"older dead letters with the same identity, of a recreated topic: {found.hidden:,}")


def _print_table(console: Console, dead_letters: Sequence[ListedDeadLetter]) -> None:
    has_one_topic = len({listed.identity.origin.topic for listed in dead_letters}) == 1
    rows = []
    for listed in dead_letters:
        summary = listed.summary
        name = _short(listed) if has_one_topic else str(listed.identity)
        failed_at = summary.failed_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
        rows.append((name, summary.code, str(summary.attempt), listed.state, failed_at))
    headings = ("dead letter", "code", "try", "state", "failed at (UTC)")
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    widths[0] = min(widths[0], _NAME_WIDTH)
    taken = sum(widths) + len(widths)
    # Rich would drop columns that do not fit; a terminal just wraps long lines.
    console.width = max(console.width, taken + _DETAIL_WIDTH)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading, width in zip(headings, widths, strict=True):
        table.add_column(heading, width=width, overflow="fold")
    table.add_column("what is wrong", overflow="fold")
    room = (console.width - taken - 1) * _DETAIL_LINES
    for listed, row in zip(dead_letters, rows, strict=True):
        detail = Text(safe(listed.detail))
        detail.truncate(room, overflow="ellipsis")
        table.add_row(*map(Text, row), detail)
    console.print(table)


def _short(listed: ListedDeadLetter) -> str:
    origin = listed.identity.origin
    return f"{origin.partition}:{origin.offset}:{listed.identity.index}"


def _as_json(listed: ListedDeadLetter) -> dict[str, Any]:
    summary, origin = listed.summary, listed.identity.origin
    return {
        "identity": str(listed.identity),
        "topic": origin.topic,
        "partition": origin.partition,
        "offset": origin.offset,
        "index": listed.identity.index,
        "code": summary.code,
        "detail": listed.detail,
        "failed_at": summary.failed_at.isoformat(),
        "attempt": summary.attempt,
        "state": listed.state,
        "replayed_at": listed.replayed_at and listed.replayed_at.isoformat(),
        "bytes": summary.size,
        "omitted": summary.omitted,
    }


def _counts(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))
