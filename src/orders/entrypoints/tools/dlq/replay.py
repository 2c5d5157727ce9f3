"""`orders dlq replay`: dead letters' messages back to their topic."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import click

from orders.bootstrap import Container, open_all
from orders.domain.intake.messages import ErrorCode, Identity
from orders.domain.letter_index import Reference, Selection
from orders.domain.use_cases.replay_dead_letters import ReplayReport, Wish
from orders.entrypoints.tools.dlq import options
from orders.entrypoints.tools.dlq.running import container_of, told_errors
from orders.entrypoints.tools.dlq.stop_flag import StopFlag, cancelled_by, stop_flag_signals
from orders.entrypoints.tools.dlq.terminal import progress, write

_NAMED = 5
_GO_ON = "; nothing is lost or sent twice: run the same command again to go on"


@click.command()
@options.code_option
@options.since_option
@options.until_option
@click.option(
    "--offset",
    "references",
    type=options.LetterReference(),
    multiple=True,
    metavar="LETTER",
    help="Only this letter, as partition:offset[:index] of its source; may be given several times.",
)
@click.option(
    "--again",
    is_flag=True,
    help="Also letters that were replayed before, and of which no newer one has come.",
)
@options.max_attempts_option
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@click.pass_context
def replay(
    context: click.Context,
    /,
    *,
    codes: tuple[ErrorCode, ...],
    since: datetime | None,
    until: datetime | None,
    references: tuple[Reference, ...],
    max_attempts: int,
    again: bool,
    dry_run: bool,
) -> None:
    """Send dead letters to the topic that they came from, each once.

    Without options: all that wait. What was sent is kept in Kafka by the letter's identity, so a
    replay that was stopped, or killed, goes on where it was when it is run again. A message that
    fails again is a dead letter again, and counts one attempt more.

    \b
    Examples:
      orders dlq replay --dry-run
      orders dlq replay --code rejected --since 2h
      orders dlq replay --offset 0:17 --offset 2:40:3 --again
    """
    container = container_of(context)
    selection = Selection(
        codes=frozenset(codes), since=since, until=until, references=tuple(references)
    )
    wish = Wish(selection=selection, again=again, max_attempts=max_attempts, dry_run=dry_run)
    stop = StopFlag()
    with stop_flag_signals(stop), told_errors("" if dry_run else _GO_ON):
        try:
            report = asyncio.run(_replay(container, wish, stop))
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise click.ClickException(f"stopped before anything was sent{_GO_ON}") from None
    _print(report, wish, container.replay_target().topic)
    if report.unknown:
        unknown = ", ".join(map(str, report.unknown))
        raise click.ClickException(f"there is no such dead letter: {unknown}")
    if report.is_stopped:
        when = "" if report.sent else " before anything was sent"
        left = _letters_are(report.left)
        raise click.ClickException(f"stopped{when}, {left} left{_GO_ON}")


async def _replay(container: Container, wish: Wish, stop: StopFlag) -> ReplayReport:
    with progress() as advance:
        is_sending = False

        def told(phase: str, done: int, total: int) -> None:
            nonlocal is_sending
            is_sending = phase == "sending"
            advance(phase, done, total)

        resources = () if wish.dry_run else container.replay_resources()
        async with cancelled_by(stop, unless=lambda: is_sending), open_all(*resources):
            use_case: Callable[..., Any] = container.replay_dead_letters()
            report: ReplayReport = await use_case(wish, told, lambda: stop.is_set)
            return report


def _print(report: ReplayReport, wish: Wish, topic: str) -> None:
    if report.caught_up:
        write(f"a replay was cut off after it had sent {report.caught_up} letters: noted now")
    number = report.sent.total()
    if number:
        write(f"{'would send' if wish.dry_run else 'sent'} {_letters(number)} to topic {topic}")
        for code, amount in sorted(report.sent.items()):
            write(f"  {code:<12} {amount}")
    elif not report.is_stopped:
        write("nothing to replay")
    if report.already:
        write(f"{_letters(report.already)} replayed before, left alone: --again")
    if report.superseded:
        write(f"{_letters(report.superseded)} failed again, left alone: a newer letter goes on")
    often = "once" if wish.max_attempts == 1 else f"{wish.max_attempts} times"
    _name(report.given_up, f"failed {often} or more, left alone: --max-attempts")
    _name(report.foreign, f"refused, since they did not come from topic {topic}")
    _name(report.too_large, f"refused by topic {topic}, since they are too large with our headers")
    if report.strangers:
        write(f"messages on the topic that are no dead letters of ours: {report.strangers}")
    if report.left and not report.is_stopped and not wish.dry_run:
        write(f"{_letters(report.left)} deleted by somebody meanwhile")


def _name(identities: Sequence[Identity], what: str) -> None:
    if identities:
        more = len(identities) - _NAMED
        some = [*map(str, identities[:_NAMED]), *([f"and {more} more"] if more > 0 else [])]
        write(f"{_letters(len(identities))} {what}")
        for line in some:
            write(f"  {line}")


def _letters(number: int) -> str:
    return "1 letter" if number == 1 else f"{number} letters"


def _letters_are(number: int) -> str:
    return f"{_letters(number)} {'is' if number == 1 else 'are'}"
