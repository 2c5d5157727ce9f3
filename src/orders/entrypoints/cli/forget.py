"""The command `orders forget`."""

import asyncio
import io
import sys
from collections.abc import Sequence

import click

from orders.bootstrap import Container, build, open_all
from orders.domain.errors import OrdersError
from orders.domain.order.rules import ID_MAX_LENGTH, is_order_uid
from orders.domain.use_cases.forget_orders import CHUNK
from orders.entrypoints.audit import Audit, open_audit, operator
from orders.entrypoints.cli.counted import counted
from orders.entrypoints.startup import NEEDED_BY, settings_or_exit, start_logging


@click.command()
@click.argument("order_uids", nargs=-1, metavar="UID...")
@click.option("--stdin", "from_stdin", is_flag=True, help="Also read UIDs from stdin, one a line.")
def forget(order_uids: tuple[str, ...], *, from_stdin: bool) -> None:
    """Delete orders for good, and keep them from coming back.

    They leave the database and the caches; API processes do not serve them any more a second later.
    A tombstone stays, so that an order that is read from the topic again is not stored, whether or
    not it was stored before. Repeating it is safe. Messages on the topics, backups and the logs of
    the database still hold the data for a while: see docs/privacy.md.

    \b
    Examples:
      orders forget b563feb7b2b84b6test
      orders forget --stdin < uids.txt
    """
    uids = list(order_uids)
    if from_stdin:
        # Whatever the locale: with its mark of UTF-8, or other bytes, a UID would be another one.
        text = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="surrogateescape")
        uids += filter(None, (line.rstrip("\r\n") for line in text))
    if not uids:
        raise click.UsageError("no UID was given")
    # A tombstone would keep such a text, and it may hold personal data, like a line of an export.
    for number, uid in enumerate(uids, 1):
        if not is_order_uid(uid):
            raise click.UsageError(
                f"UID {number:,} is none that an order can have (1 to {ID_MAX_LENGTH} characters "
                "in UTF-8, not blank): nothing was forgotten"
            )
    settings = settings_or_exit(NEEDED_BY["forget"])
    start_logging(settings, "forget")
    audit = open_audit(settings, "forget")
    container = build(settings, "forget")
    try:
        stored = asyncio.run(_forget(container, uids, audit))
    except OrdersError as error:
        raise click.ClickException(f"{error}; run the same command again") from None
    orders = counted(len(set(uids)), "order")
    click.echo(f"forgot {orders}, of which {stored:,} {'was' if stored == 1 else 'were'} stored")
    if not container.follow_tombstones().has_told_shared:
        click.echo("the shared cache is down: it is emptied before it is used again", err=True)


async def _forget(container: Container, uids: Sequence[str], audit: Audit | None) -> int:
    stored = 0
    async with open_all(*container.cache_resources(), container.database()):
        use_case = container.forget_orders()
        for start in range(0, len(uids), CHUNK):
            chunk = uids[start : start + CHUNK]
            outcome = "unavailable"
            try:
                stored += await use_case(chunk)
                outcome = "ok"
            finally:
                if audit is not None:
                    audit.record("forgot", chunk, operator(), outcome)
    return stored
