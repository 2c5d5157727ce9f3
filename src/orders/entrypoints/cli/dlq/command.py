"""The group `orders dlq`."""

import click

from orders.entrypoints.cli.dlq.delete import delete
from orders.entrypoints.cli.dlq.list import list_dead_letters
from orders.entrypoints.cli.dlq.replay import replay
from orders.entrypoints.cli.dlq.show import show


@click.group()
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
