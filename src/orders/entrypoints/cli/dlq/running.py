"""The container and the exit codes of the `orders dlq` commands."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from orders.bootstrap import Container, build
from orders.domain.dead_letters.forgotten import order_uids_in
from orders.domain.dead_letters.headers import root_of
from orders.domain.errors import Invalid, OrdersError
from orders.domain.intake.messages import DeadLetter
from orders.domain.order.rules import is_order_uid
from orders.entrypoints.audit import Audit, operator
from orders.entrypoints.startup import NEEDED_BY, settings_or_exit, start_logging


def container_of(context: click.Context) -> Container:
    """Return the container in the context, if any, else one for the settings."""
    if context.obj is not None:
        given: Container = context.obj
        return given
    settings = settings_or_exit(NEEDED_BY["dlq"])
    start_logging(settings, "dlq")
    return build(settings, "dlq")


def record(audit: Audit, event: str, dead_letters: Sequence[DeadLetter], **more: object) -> None:
    """Record what was done with dead letters, and the orders that they name."""
    named = frozenset().union(*map(order_uids_in, dead_letters))
    uids = sorted(filter(is_order_uid, named))  # anything else may be any text
    roots = [str(root_of(dead_letter)) for dead_letter in dead_letters]
    audit.record(event, uids, operator(), "ok", dead_letters=roots, **more)


@contextmanager
def map_errors(advice: str = "") -> Iterator[None]:
    """Turn errors into exit codes: 2 for wrong usage, 1 for a failure."""
    try:
        yield
    except Invalid as error:
        raise click.UsageError(str(error)) from None
    except OrdersError as error:
        raise click.ClickException(f"{error}{advice}") from None
