"""The group `orders dlq`."""

import os
import sys

import click

from orders.entrypoints.cli.dlq.list import list_letters
from orders.entrypoints.cli.dlq.replay import replay
from orders.entrypoints.cli.dlq.show import show
from orders.entrypoints.startup import EXIT_FAILED


class _Group(click.Group):
    """Says in a line when its output cannot be written, and nothing when nobody reads it."""

    def invoke(self, ctx: click.Context) -> object:
        """See ``click.Group.invoke``."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # else it would fail at the very end, with a traceback
        except BrokenPipeError:
            _drop_output()
            ctx.exit(EXIT_FAILED)
        except OSError as error:
            _drop_output()
            text = os.strerror(error.errno) if error.errno else type(error).__name__
            raise click.ClickException(f"cannot be written: {text}") from None
        return result


def _drop_output() -> None:
    """Have what is still in the buffer go nowhere: the interpreter flushes once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@click.group(cls=_Group)
def dlq() -> None:
    """Inspect and replay dead letters.

    What could not be stored lies on the topic of dead letters. These commands need Kafka alone, and
    only `replay` changes anything.

    \b
    Examples:
      orders dlq list
      orders dlq show 0:17
      orders dlq replay --code rejected
    """


dlq.add_command(list_letters, "list")
dlq.add_command(show, "show")
dlq.add_command(replay, "replay")
