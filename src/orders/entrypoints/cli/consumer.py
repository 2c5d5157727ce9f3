"""The command `orders consumer`."""

import asyncio
import gc
import sys

import click
import structlog

from orders.bootstrap import build
from orders.entrypoints.consumer.allocator import use_one_heap
from orders.entrypoints.consumer.consume import consume
from orders.entrypoints.startup import NEEDED, exit_on_error, settings_or_exit, start_logging

SWITCH_INTERVAL = 0.000_5
"""Seconds after which a computing thread yields. With Python's 5 ms, the event loop and PostgreSQL
would often wait for the thread that reads messages (docs/performance.md)."""

log = structlog.get_logger(__name__)


@click.command()
def consumer() -> None:
    """Store orders from the topic until stopped.

    On SIGTERM or SIGINT it finishes and commits the batches in progress, or leaves them to the next
    start, and exits with 0. A second signal ends it at once. While PostgreSQL, Kafka or Redis are
    down it waits. All settings are ORDERS_* variables: see `orders config --help`.

    \b
    Example:
      ORDERS_POSTGRES_DSN=postgresql://orders@db/orders \\
      ORDERS_KAFKA_BOOTSTRAP=broker:9092 orders consumer
    """
    settings = settings_or_exit(NEEDED)
    start_logging(settings, "consumer")
    use_one_heap()
    sys.setswitchinterval(SWITCH_INTERVAL)
    with exit_on_error():
        container = build(settings, "consumer")
        gc.freeze()  # loaded modules stay: the collector need not traverse them
        asyncio.run(consume(settings, container))
    log.info("stopped")
