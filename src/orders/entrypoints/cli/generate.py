"""The command `orders generate`."""

import asyncio
import sys

import click
from rich.console import Console
from rich.progress import track

from orders.bootstrap import build, open_all
from orders.config import Settings
from orders.domain.errors import Unavailable
from orders.domain.order.document import encode
from orders.entrypoints.startup import NEEDED_BY, settings_or_exit, start_logging

CHUNK = 500
"""Orders per acknowledged chunk; these stay on the topic if the command is stopped."""


@click.command()
@click.argument("amount", type=click.IntRange(min=1))
@click.option("--stdout", is_flag=True, help="Print one order per line instead of sending them.")
def generate(amount: int, *, stdout: bool) -> None:
    """Create AMOUNT random orders and send them to the topic.

    \b
    Examples:
      ORDERS_KAFKA_BOOTSTRAP=127.0.0.1:9092 orders generate 10000
      orders generate 3 --stdout
    """
    settings = settings_or_exit(() if stdout else NEEDED_BY["generate"])
    start_logging(settings, "generate")
    if stdout:
        _print(settings, amount)
        return
    try:
        asyncio.run(_send(settings, amount))
    except Unavailable as error:
        raise click.ClickException(str(error)) from None


def _print(settings: Settings, amount: int) -> None:
    generator = build(settings, "generate").generator()
    for size in _chunks(amount):
        for order in generator.generate(size):
            sys.stdout.buffer.write(encode(order) + b"\n")


async def _send(settings: Settings, amount: int) -> None:
    container = build(settings, "generate")
    chunks = _chunks(amount)
    async with open_all(container.producer()):
        publish = container.publish_random()
        console = Console(stderr=True)
        for size in track(chunks, description=f"sending {amount} orders", console=console):
            await publish(size)
    click.echo(f"sent {amount} orders to topic {settings.kafka_topic}", err=True)


def _chunks(amount: int) -> list[int]:
    whole, rest = divmod(amount, CHUNK)
    return [CHUNK] * whole + ([rest] if rest else [])
