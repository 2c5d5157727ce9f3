"""The group `orders dlq`."""

import click

from orders.entrypoints.tools.dlq.list import list_letters
from orders.entrypoints.tools.dlq.replay import replay
from orders.entrypoints.tools.dlq.show import show


@click.group()
def dlq() -> None:
    """Look at dead letters, and send them again.

    What could not be stored lies on the topic of dead letters. These commands need Kafka alone, and
    only `replay` changes anything.

    \b
    Examples:
      orders dlq list
      orders dlq show 0:17
      orders dlq replay --code rejected
    """


dlq.add_command(list_letters, "list")
dlq.add_command(show, "show")
dlq.add_command(replay, "replay")
