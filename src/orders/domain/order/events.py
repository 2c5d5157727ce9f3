"""What has happened to orders, in an order that readers can resume in."""

from datetime import datetime
from typing import NamedTuple

from msgspec import Struct


class Position(NamedTuple):
    """A place in the sequence of events. Nothing becomes visible before one that was read.

    ``order_uid`` is empty before the first event of a transaction.
    """

    transaction: int
    order_uid: str


class OrderSummary(Struct, frozen=True):
    """The fields by which people recognize an order.

    Amount and currency are None where the order has lost its payment.
    """

    order_uid: str
    track_number: str
    customer_id: str
    date_created: datetime
    amount: int | None
    currency: str | None
    item_count: int


class OrderEvent(Struct, frozen=True):
    """An order was stored, or was forgotten: then there is no ``summary``."""

    position: Position
    order_uid: str
    summary: OrderSummary | None
