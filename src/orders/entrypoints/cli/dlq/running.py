"""The container that a command works on, and what its errors come to."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from orders.bootstrap import Container, build
from orders.domain.errors import Invalid, OrdersError
from orders.entrypoints.startup import settings_or_exit, start_logging


def container_of(context: click.Context) -> Container:
    """The caller's own container where it brings one, else that of the settings."""
    if context.obj is not None:
        brought: Container = context.obj
        return brought
    settings = settings_or_exit(("kafka_bootstrap",))
    start_logging(settings, "dlq")
    return build(settings)


@contextmanager
def map_errors(advice: str = "") -> Iterator[None]:
    """End with 2 where the command was used wrongly, with 1 where it could not do its work."""
    try:
        yield
    except Invalid as error:
        raise click.UsageError(str(error)) from None
    except OrdersError as error:
        raise click.ClickException(f"{error}{advice}") from None
