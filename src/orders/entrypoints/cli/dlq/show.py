"""The command `orders dlq show`."""

import asyncio
import sys
from collections.abc import Callable

import click

from orders.bootstrap import Container, open_all
from orders.domain.dead_letters.index import Reference
from orders.domain.use_cases.show_dead_letter import ShowDeadLetter, ShownDeadLetter
from orders.entrypoints.audit import open_audit
from orders.entrypoints.cli.dlq import options
from orders.entrypoints.cli.dlq.dead_letter_view import dead_letter_as_json, dead_letter_as_text
from orders.entrypoints.cli.dlq.running import container_of, map_errors, record
from orders.entrypoints.cli.dlq.terminal import json_line, progress, write


@click.command()
@click.argument("reference", type=options.DeadLetterReference(), metavar="REFERENCE")
@options.max_attempts_option
@click.option("--unmask", is_flag=True, help="Show personal data as well.")
@click.option("--raw", is_flag=True, help="Write only the original bytes, unmasked.")
@options.json_option
@click.pass_context
def show(
    context: click.Context,
    /,
    *,
    reference: Reference,
    max_attempts: int,
    unmask: bool,
    raw: bool,
    as_json: bool,
) -> None:
    """Show one dead letter: its headers, what is wrong with it, its payload.

    REFERENCE is partition:offset of the message that failed, with :index after it if several
    elements of its array failed, and topic/ before it if there are several source topics.

    Personal data is masked, and so is everything that is not known not to be personal, including
    the names of unknown fields and headers. A mask has type and length, such as <str 11>.

    \b
    Examples:
      orders dlq show 0:17
      orders dlq show orders/0:17:3 --unmask
      orders dlq show 0:17 --raw > payload
    """
    if raw and as_json:
        raise click.UsageError("--raw and --json cannot be combined")
    container = container_of(context)
    audit = open_audit(container.settings(), "dlq")
    with map_errors():
        found = asyncio.run(_find(container, reference, max_attempts))()
    if audit is not None:
        record(audit, "showed", [found.dead_letter], is_masked=not (unmask or raw))
    if raw:
        if found.dead_letter.omitted:
            raise click.ClickException(
                "its content was not kept; without --raw, you see where it is"
            )
        sys.stdout.buffer.write(found.dead_letter.value or b"")
        sys.stdout.buffer.flush()
    elif as_json:
        click.echo(json_line(dead_letter_as_json(found, unmask=unmask)))
    else:
        for part in dead_letter_as_text(found, unmask=unmask):
            write(part, end="")


async def _find(
    container: Container, reference: Reference, max_attempts: int
) -> Callable[[], ShownDeadLetter]:
    """Return what returns it: of a result itself, asyncio makes a repr of many times its size."""
    use_case: ShowDeadLetter = container.show_dead_letter()
    async with open_all(*container.dead_letter_resources()):
        with progress() as advance:
            found = await use_case(
                reference, max_attempts, lambda done, total: advance("reading", done, total)
            )
    return lambda: found
