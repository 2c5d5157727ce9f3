"""The summary of an order: what a line of a list shows."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from orders.domain.order.model import Order
from orders.domain.order.rules import Identifier, Instant, Int64, Money

CURRENCY_LENGTH = 255
"""Characters of the currency that a summary has at most: in an order it is any text, also one of a
megabyte."""


class OrderSummary(Struct, frozen=True, gc=False):
    """The fields by which people recognize an order; none is about the recipient.

    In an event, amount and currency are None where the order has lost its payment.
    """

    order_uid: Identifier
    track_number: Identifier
    customer_id: Identifier
    date_created: Instant
    amount: Money
    currency: Annotated[
        str, Meta(max_length=CURRENCY_LENGTH, description="A longer one is cut off.")
    ]
    item_count: Int64


def summary_of(order: Order) -> OrderSummary:
    """Return the summary of an order."""
    return OrderSummary(
        order.order_uid,
        order.track_number,
        order.customer_id,
        order.date_created,
        order.payment.amount,
        order.payment.currency[:CURRENCY_LENGTH],
        len(order.items),
    )


def encode_summary(order: Order) -> bytes:
    """Encode the summary of an order as JSON, as canonical documents are."""
    return msgspec.json.encode(summary_of(order))
