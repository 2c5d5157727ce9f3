"""What has happened to orders, in an order that readers can resume in."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from orders.domain.order.summary import OrderSummary


class Position(NamedTuple):
    """A place in the sequence of events. Nothing becomes visible before one that was read.

    ``order_uid`` is empty before the first event of a transaction.
    """

    transaction: int
    order_uid: str


class OrderEvent(Struct, frozen=True):
    """An order was stored, or was forgotten: then there is no ``summary``."""

    position: Position
    order_uid: str
    summary: OrderSummary | None


class EventPage(NamedTuple):
    """Events in their sequence, and which tombstones the store had when they were read.

    ``as_of`` is the position of the latest of them; without events it means nothing. A standby may
    lack some that are known from another server.
    """

    events: Sequence[OrderEvent]
    as_of: int
    is_of_standby: bool = False
