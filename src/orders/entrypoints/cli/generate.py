"""The command `orders generate`."""

import asyncio
import sys
from contextlib import suppress

import click
import structlog
from rich.console import Console
from rich.progress import track

from orders.bootstrap import build, open_all
from orders.config import Settings
from orders.domain.errors import Unavailable
from orders.domain.order.document import encode
from orders.entrypoints.cli.dlq.stop_flag import StopFlag, cancelled_by, stop_flag_signals
from orders.entrypoints.startup import NEEDED_BY, settings_or_exit, start_logging

CHUNK = 500
"""Orders per acknowledged chunk; these stay on the topic if the command is stopped."""
MAX_RATE = 10_000.0
_PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)


@click.command()
@click.argument("amount", type=click.IntRange(min=1), required=False)
@click.option("--stdout", is_flag=True, help="Print one order per line instead of sending them.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True, max=MAX_RATE),
    help="Orders a second; without AMOUNT until it is stopped.",
)
def generate(amount: int | None, *, stdout: bool, rate: float | None) -> None:
    """Create AMOUNT random orders and send them to the topic.

    With --rate it resumes when the brokers are reachable again.

    \b
    Examples:
      ORDERS_KAFKA_BOOTSTRAP=127.0.0.1:9092 orders generate 10000
      ORDERS_KAFKA_BOOTSTRAP=127.0.0.1:9092 orders generate --rate 0.5
      orders generate 3 --stdout
    """
    if stdout and rate:
        raise click.UsageError("--rate is for orders that are sent, not with --stdout")
    if amount is None and (stdout or not rate):
        raise click.UsageError("say how many: AMOUNT, or --rate without an end")
    settings = settings_or_exit(() if stdout else NEEDED_BY["generate"])
    start_logging(settings, "generate")
    try:
        if rate:
            _send_at_rate(settings, amount, rate)
        elif amount and stdout:
            _print(settings, amount)
        elif amount:
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
        for size in track(chunks, description=f"sending {amount:,} orders", console=console):
            await publish(size)
    click.echo(f"sent {amount:,} orders to topic {settings.kafka_topic}", err=True)


def _send_at_rate(settings: Settings, amount: int | None, rate: float) -> None:
    stop, sent = StopFlag(), 0

    async def send() -> None:
        nonlocal sent
        container = build(settings, "generate")
        async with cancelled_by(stop, unless=lambda: False), open_all(container.producer()):
            publish = container.publish_random()
            now = asyncio.get_running_loop().time
            due = now()
            while amount is None or sent < amount:
                late = int((now() - due) * rate)
                number = min(1 + late, CHUNK, (amount or sys.maxsize) - sent)
                try:
                    await publish(number)
                except Unavailable as error:
                    log.warning("made-up orders not sent", reason=str(error))
                    due = now() + _PAUSE_SECONDS
                else:
                    sent += number
                    due += number / rate
                await asyncio.sleep(max(due - now(), 0))

    with stop_flag_signals(stop), suppress(asyncio.CancelledError):
        asyncio.run(send())
    click.echo(f"sent {sent:,} orders to topic {settings.kafka_topic}", err=True)


def _chunks(amount: int) -> list[int]:
    whole, rest = divmod(amount, CHUNK)
    return [CHUNK] * whole + ([rest] if rest else [])
