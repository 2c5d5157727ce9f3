"""The command `orders dlq replay`."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import click

from orders.bootstrap import Container, open_all
from orders.domain.dead_letters.index import Reference, Selection
from orders.domain.intake.messages import DeadLetter, ErrorCode, Identity
from orders.domain.use_cases.replay_dead_letters import ReplayReport, ReplayRequest
from orders.entrypoints.audit import open_audit
from orders.entrypoints.cli.dlq import options
from orders.entrypoints.cli.dlq.running import container_of, map_errors, record
from orders.entrypoints.cli.dlq.stop_flag import StopFlag, cancelled_by, stop_flag_signals
from orders.entrypoints.cli.dlq.terminal import count, progress, write

_NAMED = 5
_RESUME = "; nothing is lost, run the same command again to send the rest"
_RESUME_WITH_AGAIN = "; nothing is lost, the same command sends all of them again"


@click.command()
@click.option("--all", "takes_all", is_flag=True, help="All waiting dead letters.")
@options.code_option
@options.since_option
@options.until_option
@click.option(
    "--offset",
    "references",
    type=options.DeadLetterReference(),
    multiple=True,
    metavar="REFERENCE",
    help="Only this one, as partition:offset[:index] of its source; can be repeated.",
)
@click.option(
    "--again",
    is_flag=True,
    help="Also those that were replayed before and have not failed since.",
)
@options.max_attempts_option
@click.option("--dry-run", is_flag=True, help="Only print what would be sent.")
@click.pass_context
def replay(
    context: click.Context,
    /,
    *,
    takes_all: bool,
    codes: tuple[ErrorCode, ...],
    since: datetime | None,
    until: datetime | None,
    references: tuple[Reference, ...],
    max_attempts: int,
    again: bool,
    dry_run: bool,
) -> None:
    """Send dead letters to the topic that they came from, at least once.

    Choose what to send with --all, --code, --since, --until or --offset. Sending twice is harmless:
    an order that is stored already does not change, and a message that fails again is the same
    dead letter with one more attempt. The codes undecodable and empty always fail again, so they
    are sent only if --code or --offset names them.

    \b
    Examples:
      orders dlq replay --all --dry-run
      orders dlq replay --code rejected --since 2h
      orders dlq replay --offset 0:17 --offset 2:40:3 --again
    """
    if not (takes_all or codes or since or until or references):
        raise click.UsageError(
            "nothing is sent without a choice: --all, --code, --since, --until or --offset"
        )
    container = container_of(context)
    selection = Selection(
        codes=frozenset(codes), since=since, until=until, references=tuple(references)
    )
    request = ReplayRequest(
        selection=selection, include_replayed=again, max_attempts=max_attempts, dry_run=dry_run
    )
    stop = StopFlag()
    advice = _RESUME_WITH_AGAIN if again else _RESUME
    with stop_flag_signals(stop), map_errors("" if dry_run else advice):
        try:
            report = asyncio.run(_replay(container, request, stop))
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise click.ClickException(f"stopped before anything was sent{advice}") from None
    _print(report, request, container.replay_target().topic)
    if report.unknown:
        unknown = ", ".join(map(str, report.unknown))
        raise click.ClickException(f"there is no such dead letter: {unknown}")
    if report.is_stopped:
        when = "" if report.sent else " before anything was sent"
        remaining = _remaining(report.remaining)
        raise click.ClickException(f"stopped{when}, {remaining} left{advice}")


async def _replay(container: Container, request: ReplayRequest, stop: StopFlag) -> ReplayReport:
    with progress() as advance:
        is_sending = False

        def on_progress(phase: str, done: int, total: int) -> None:
            nonlocal is_sending
            is_sending = phase == "sending"
            advance(phase, done, total)

        audit = open_audit(container.settings(), "dlq")

        def on_sent(dead_letters: Sequence[DeadLetter]) -> None:
            if audit is not None:
                record(audit, "replayed", dead_letters)

        resources = () if request.dry_run else container.replay_resources()
        resources = (*container.dead_letter_resources(), *resources)
        async with cancelled_by(stop, unless=lambda: is_sending), open_all(*resources):
            use_case: Callable[..., Any] = container.replay_dead_letters()
            report: ReplayReport = await use_case(
                request, on_progress, lambda: stop.is_set, on_sent
            )
            return report


def _print(report: ReplayReport, request: ReplayRequest, topic: str) -> None:
    number = report.sent.total()
    if number:
        write(f"{'would send' if request.dry_run else 'sent'} {count(number)} to topic {topic}")
        for code, amount in sorted(report.sent.items()):
            write(f"  {code:<12} {amount:,}")
    elif not report.is_stopped:
        write("nothing to replay")
    if report.skipped:
        write(f"{count(report.skipped)} replayed before, skipped (use --again to include them)")
    for code, amount in sorted(report.unnamed.items()):
        write(f"{count(amount)} with code {code} would fail again, skipped (use --code {code})")
    often = "once" if request.max_attempts == 1 else f"{request.max_attempts} times"
    _name(report.exhausted, f"failed {often} or more, skipped (use --max-attempts to include them)")
    _name(report.foreign, f"not sent, they are not from topic {topic}")
    _name(
        report.omitted,
        "not sent, their content was not kept (`orders dlq show` says where it is)",
    )
    _name(
        report.too_large,
        f"not sent, they exceed the size limit of topic {topic} once headers are added",
    )
    if report.unrecognized:
        write(f"records on the topic that are not dead letters of ours: {report.unrecognized:,}")
    if report.remaining and not report.is_stopped and not request.dry_run:
        write(f"{count(report.remaining)} deleted in the meantime")


def _name(identities: Sequence[Identity], what: str) -> None:
    if identities:
        more = len(identities) - _NAMED
        some = [*map(str, identities[:_NAMED]), *([f"and {more} more"] if more > 0 else [])]
        write(f"{count(len(identities))} {what}")
        for line in some:
            write(f"  {line}")


def _remaining(number: int) -> str:
    return f"{count(number)} {'is' if number == 1 else 'are'}"
