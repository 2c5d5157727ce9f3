"""The command `orders api`."""

from functools import partial
from pathlib import Path
from secrets import token_hex

import click
import msgspec
import structlog

from orders.config import Settings
from orders.entrypoints.http.access import checks
from orders.entrypoints.http.asgi import create, create_in_memory
from orders.entrypoints.http.server import serve
from orders.entrypoints.startup import EXIT_CONFIG, NEEDED, settings_or_exit, start_logging
from orders.usable_memory import usable_memory

log = structlog.get_logger("orders.http")

_ADVICE = "set ORDERS_HTTP_AUTH, or ORDERS_HTTP_HOST=127.0.0.1"


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
    if fault := checks.keys_fault(settings):
        click.echo(f"orders: {fault}", err=True)
        raise SystemExit(EXIT_CONFIG)
    start_logging(settings, "api")
    if checks.is_open(settings):
        log.warning("anybody may read and send orders", host=settings.http_host, advice=_ADVICE)
    if settings.http_session_secret is None:  # one for all workers
        settings = msgspec.structs.replace(settings, http_session_secret=token_hex())
    log.info(
        "local cache sized",
        bytes=settings.local_cache_bytes,
        workers=settings.http_workers,
        memory=usable_memory(),
    )
    application = partial(create_in_memory if memory else create, settings)
    raise SystemExit(
        serve(
            application,
            settings.http_host,
            settings.http_port,
            settings.http_workers,
            idle_timeout=settings.http_idle_timeout,
            max_connections=settings.http_max_connections,
            tls=_tls(settings),
            health=_health(settings),
        )
    )


def _health(settings: Settings) -> tuple[str, int] | None:
    port = settings.http_health_port
    return None if port is None else (settings.http_health_host, port)


def _tls(settings: Settings) -> tuple[Path, Path] | None:
    certificate = settings.http_tls_certificate
    if certificate is None:
        return None
    return Path(certificate), Path(settings.http_tls_key or certificate)
