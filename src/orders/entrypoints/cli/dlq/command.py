"""The group `orders dlq`."""

import errno
import os
import sys

import click

from orders.entrypoints.cli.dlq.delete import delete
from orders.entrypoints.cli.dlq.list import list_dead_letters
from orders.entrypoints.cli.dlq.replay import replay
from orders.entrypoints.cli.dlq.show import show
from orders.entrypoints.startup import EXIT_FAILED


class _Group(click.Group):
    """Reports in one line that output cannot be written; a closed pipe is not reported."""

    def invoke(self, ctx: click.Context) -> object:
        """See ``click.Group.invoke``."""
        if sys.stdout is None:  # it was closed when the process started
            raise click.ClickException(f"cannot be written: {os.strerror(errno.EBADF)}")
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # else it would fail at exit, with a traceback
        except BrokenPipeError:
            _drop_output()
            ctx.exit(EXIT_FAILED)
        except OSError as error:
            _drop_output()
            text = os.strerror(error.errno) if error.errno else type(error).__name__
            raise click.ClickException(f"cannot be written: {text}") from None
        return result


def _drop_output() -> None:
    """Discard what is buffered, since the interpreter flushes again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@click.group(cls=_Group)
def dlq() -> None:
    """Inspect, replay and delete dead letters.

    What could not be stored is on the topic of dead letters. Only `replay` and `delete` change
    anything. These commands need Kafka, and PostgreSQL if ORDERS_POSTGRES_DSN is set: dead letters
    of orders that were forgotten are left out then.

    \b
    Examples:
      orders dlq list
      orders dlq show 0:17
      orders dlq replay --code rejected
    """


dlq.add_command(list_dead_letters, "list")
dlq.add_command(show, "show")
dlq.add_command(replay, "replay")
dlq.add_command(delete, "delete")
