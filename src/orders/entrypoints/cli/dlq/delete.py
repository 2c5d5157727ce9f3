"""The command `orders dlq delete`."""

import asyncio
from datetime import datetime

import click

from orders.bootstrap import open_all
from orders.domain.use_cases.delete_dead_letters import DeleteDeadLetters, DeletionReport
from orders.entrypoints.audit import open_audit, operator
from orders.entrypoints.cli.counted import counted
from orders.entrypoints.cli.dlq import options
from orders.entrypoints.cli.dlq.running import container_of, map_errors
from orders.entrypoints.cli.dlq.terminal import progress, write

_NAMED = 5


@click.command()
@click.option(
    "--before",
    type=options.Moment(),
    required=True,
    help="What failed before this time; 90d means 90 days ago.",
)
@click.option("--include-waiting", is_flag=True, help="Also those that wait for a replay.")
@options.max_attempts_option
@click.option("--dry-run", is_flag=True, help="Only print what would be deleted.")
@click.pass_context
def delete(
    context: click.Context,
    /,
    *,
    before: datetime,
    include_waiting: bool,
    max_attempts: int,
    dry_run: bool,
) -> None:
    """Delete the oldest dead letters for good.

    Kafka cannot delete single messages, only all of a partition up to one of them. So each
    partition is deleted up to the first dead letter that is to be kept, and older ones behind it
    stay. Those that wait for a replay are kept, unless --include-waiting is given.

    \b
    Examples:
      orders dlq delete --before 90d --dry-run
      orders dlq delete --before 2026-01-31
    """
    container = container_of(context)
    audit = open_audit(container.settings(), "dlq")

    def record(report: DeletionReport, outcome: str) -> None:
        if audit is not None:
            ends = {str(partition): end for partition, end in report.ends.items()}
            about = {"records": report.records, "up_to": ends}
            audit.record("deleted dead letters", (), operator(), outcome, **about)

    async def run() -> DeletionReport:
        use_case: DeleteDeadLetters = container.delete_dead_letters()
        async with open_all(*container.dead_letter_resources()):
            with progress() as advance:
                return await use_case(
                    before,
                    include_waiting=include_waiting,
                    max_attempts=max_attempts,
                    dry_run=dry_run,
                    progress=lambda done, total: advance("reading", done, total),
                    on_deleted=record,
                )

    with map_errors():
        report = asyncio.run(run())
    _print(report, dry_run=dry_run)


def _print(report: DeletionReport, *, dry_run: bool) -> None:
    verb = "would delete" if dry_run else "deleted"
    states = ", ".join(f"{number:,} {state}" for state, number in sorted(report.states.items()))
    write(f"{verb} {counted(report.records, 'record')}" + (f": {states}" if states else ""))
    for partition, end in sorted(report.ends.items()):
        write(f"  partition {partition}: up to offset {end - 1}")
    if report.waiting:
        named = ", ".join(map(str, report.waiting[:_NAMED]))
        write(f"kept, because they wait for a replay: {named}")
    if report.behind:
        behind = counted(report.behind, "record")
        write(f"kept, because they stand behind one that is kept: {behind}")
