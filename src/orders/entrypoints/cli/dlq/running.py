"""The container and the exit codes of the `orders dlq` commands."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from orders.bootstrap import Container, build
from orders.domain.errors import Invalid, OrdersError
from orders.entrypoints.startup import NEEDED_BY, settings_or_exit, start_logging


def container_of(context: click.Context) -> Container:
    """Return the container in the context, if any, else one for the settings."""
    if context.obj is not None:
        given: Container = context.obj
        return given
    settings = settings_or_exit(NEEDED_BY["dlq"])
    start_logging(settings, "dlq")
    return build(settings, "dlq")


@contextmanager
def map_errors(advice: str = "") -> Iterator[None]:
    """Turn errors into exit codes: 2 for wrong usage, 1 for a failure."""
    try:
        yield
    except Invalid as error:
        raise click.UsageError(str(error)) from None
    except OrdersError as error:
        raise click.ClickException(f"{error}{advice}") from None
