"""The command `orders api`."""

from functools import partial

import click

from orders.entrypoints.http.asgi import create, create_in_memory
from orders.entrypoints.http.server import serve
from orders.entrypoints.startup import NEEDED, settings_or_exit, start_logging


@click.command()
@click.option("--memory", is_flag=True, help="Need no servers, and keep nothing after exit.")
def api(*, memory: bool) -> None:
    """Serve orders over HTTP until stopped.

    On SIGTERM or SIGINT it finishes the requests in progress and exits with 0. It starts while
    PostgreSQL, Redis or Kafka are down, and serves what it can without them. All settings are
    ORDERS_* variables: see `orders config --help`.

    \b
    Examples:
      ORDERS_POSTGRES_DSN=postgresql://orders@db/orders \\
      ORDERS_KAFKA_BOOTSTRAP=broker:9092 ORDERS_REDIS_URL=redis://cache orders api
      orders api --memory
    """
    settings = settings_or_exit(() if memory else NEEDED)
    if memory and settings.http_workers != 1:
        raise click.UsageError("--memory is one process: ORDERS_HTTP_WORKERS must be 1")
    start_logging(settings, "api")
    application = partial(create_in_memory if memory else create, settings)
    raise SystemExit(
        serve(
            application,
            settings.http_host,
            settings.http_port,
            settings.http_workers,
            idle_timeout=settings.http_idle_timeout,
            max_connections=settings.http_max_connections,
        )
    )
