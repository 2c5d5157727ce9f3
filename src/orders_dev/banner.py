"""The banner of `orders dev`."""

import shlex

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from orders.config import Settings
from orders_dev.dev_stack import DevStack


def show(console: Console, stack: DevStack, settings: Settings) -> None:
    """Print the addresses and some example commands.

    No password is shown: psql finds it in a file that only its owner can read. The address of a
    server that the user provides is not shown, since it may contain a secret.
    """
    url = stack.url(settings)
    own = "your own, as set"
    bootstrap = settings.kafka_bootstrap or stack.kafka.bootstrap
    rows = [
        ("Page", f"{url}/"),
        ("API docs", f"{url}/docs"),
        ("Health", f"{url}/health/ready, consumer {stack.health_url(settings)}/health/ready"),
        ("Kafka", f"{bootstrap}, topic {settings.kafka_topic}"),
        ("PostgreSQL", own if settings.postgres_dsn else stack.postgres.public_dsn),
        ("Valkey", own if settings.redis_url else stack.valkey.url),
        ("Data", str(stack.data.path)),
        ("Logs", str(stack.data.logs)),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(value))
    body = Group(table, Text("\nStop with Ctrl-C; the data stay.", style="dim"))
    console.print(Panel(body, title="orders is up", border_style="green", expand=False))
    # Outside of the frame, so that whole lines can be copied.
    for line in _examples(url, stack, settings):
        console.print(Text(f"  {line}"), soft_wrap=True)


def _examples(url: str, stack: DevStack, settings: Settings) -> list[str]:
    lines = [
        f"curl -X POST {url}/random/3           # three random orders, by way of the topic",
        f"curl '{url}/orders?limit=3'           # the newest; one alone: {url}/orders/UID",
    ]
    if not settings.postgres_dsn:
        password_file = shlex.quote(str(stack.postgres.password_file))
        lines.append(f"PGPASSFILE={password_file} psql {stack.postgres.public_dsn}")
    return lines
