"""The command `orders compare`."""

import secrets

import click

from orders.bootstrap import build, open_all
from orders.domain.use_cases.compare_orders import SHOWN, Compared
from orders.entrypoints.audit import open_audit, operator
from orders.entrypoints.cli.dlq.stop_flag import StopFlag
from orders.entrypoints.cli.dlq.terminal import safe
from orders.entrypoints.cli.legacy_dsn import FROM_SETTINGS, legacy_dsn, legacy_option
from orders.entrypoints.cli.transfers import TransferProgress, run_transfer
from orders.entrypoints.startup import EXIT_FAILED, NEEDED_BY, settings_or_exit, start_logging


@click.command()
@legacy_option
@click.option("--sample", type=click.IntRange(1), default=1_000, show_default=True)
@click.option("--seed", type=int, help="Choose the same sample again.")
@click.option("--all", "whole", is_flag=True, help="Compare all orders, not a sample.")
def compare(legacy: str | None, *, sample: int, seed: int | None, whole: bool) -> None:
    """Compare the orders of the old service with those stored here.

    Compares the numbers of orders, in total and per day, and a sample of both sides field by
    field. Prints order_uids and names of fields, no values.

    Orders that the old service stored without delivery or payment, or that were forgotten here, do
    not count as differences, and with --all orders that break our rules do not either. How many of
    the latter there are is not known from a sample: those outside it count as missing here.

    The exit code is 0 if there is no difference, and 1 if there is one.

    \b
    Examples:
      orders compare --legacy
      orders compare --legacy 'host=old dbname=orders user=reader' --sample 10000 --seed 7
      orders compare --legacy --all
    """
    settings = settings_or_exit(NEEDED_BY["compare"])
    start_logging(settings, "compare")
    container = build(settings, "compare")
    dsn = legacy_dsn(legacy or FROM_SETTINGS, settings)
    audit = open_audit(settings, "compare")
    stop = StopFlag()
    seed = secrets.randbelow(10**6) if seed is None else seed

    async def run() -> Compared:
        async with container.legacy_orders()(dsn) as old, open_all(container.database()):
            result: Compared = await container.compare_orders()(
                old,
                sample=None if whole else sample,
                seed=seed,
                progress=progress,
                wants_stop=lambda: stop.is_set,
            )
            return result

    def record(outcome: str) -> None:
        if audit is not None:
            audit.record("compared", (), operator(), outcome, number=progress.orders)

    with TransferProgress("comparing") as progress:
        result = run_transfer(run(), stop, record)
    if result.compared or not result.is_stopped:
        what = "all orders" if whole else f"a sample of {sample:,} of each side, seed {seed}"
        _print(result, "so far" if result.is_stopped else what)
    if result.is_stopped:
        click.echo("stopped: not all of it was compared", err=True)
    if not result.is_equal:
        raise SystemExit(EXIT_FAILED)


def _print(result: Compared, what: str) -> None:
    old, new = result.old.days, result.new.days
    click.echo(f"orders: {sum(old.values()):,} in the old database, {sum(new.values()):,} here")
    days = [day for day in sorted(old.keys() | new.keys()) if old.get(day, 0) != new.get(day, 0)]
    for day in days[:SHOWN]:
        click.echo(
            f"  {safe(day)}: {old.get(day, 0):,} in the old database, {new.get(day, 0):,} here"
        )
    if len(days) > SHOWN:
        click.echo(f"  and {len(days) - SHOWN:,} more days that differ")
    for number, text in (
        (
            result.old.incomplete,
            "more in the old database without delivery or payment: cannot be imported",
        ),
        (result.forgotten, "in the old database and forgotten here: not compared"),
    ):
        if number:
            click.echo(f"  {number:,} {text}")
    click.echo(f"{what}: {result.equal:,} equal")
    if result.invalid:
        click.echo(
            f"  {result.invalid:,} in the old database against the rules: cannot be imported"
        )
    if result.missing and not (result.counts or result.is_stopped):
        where = "missing" if result.missing > 0 else "too many"
        click.echo(f"  {abs(result.missing):,} {where} here by the numbers: --all names them")
    for kind, uids in result.uids.items():
        number = result.counts[kind]
        click.echo(f"  {number:,} {kind}: {', '.join(map(safe, uids))}{' ...' * (number > SHOWN)}")
    for name, number in result.fields.most_common():
        click.echo(f"  {name} differs in {number:,}")
