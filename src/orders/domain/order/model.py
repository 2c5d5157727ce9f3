"""The order document: its fields in the order in which they are written.

The structs are complete: every field is present. ``domain.intake.diagnosis`` fills in what a
producer may leave out.

Frozen structs of plain values form no cycles, so the garbage collector ignores them
(``gc=False``), which makes reading faster.
"""

from msgspec import Struct

from orders.domain.order.rules import Identifier, Instant, Int64, Money, Personal, Phone


class Delivery(Struct, frozen=True, gc=False):
    """The recipient and the address of an order."""

    name: Personal
    phone: Phone
    zip: Personal
    city: Personal
    address: Personal
    region: Personal
    email: Personal


class Payment(Struct, frozen=True, gc=False):
    """The payment of an order; ``payment_dt`` is in Unix seconds."""

    transaction: str
    request_id: str
    currency: str
    provider: str
    amount: Money
    payment_dt: Int64
    bank: str
    delivery_cost: Money
    goods_total: Money
    custom_fee: Money


class Item(Struct, frozen=True, gc=False):
    """One line of an order; ``sale`` is a discount in percent."""

    chrt_id: Int64
    track_number: str
    price: Money
    rid: str
    name: str
    sale: Int64
    size: str
    total_price: Money
    nm_id: Int64
    brand: str
    status: Int64


class Order(Struct, frozen=True, gc=False):
    """An order, which never changes. ``date_created`` is in UTC."""

    order_uid: Identifier
    track_number: Identifier
    entry: str
    delivery: Delivery
    payment: Payment
    items: tuple[Item, ...]
    locale: str
    internal_signature: str
    customer_id: Identifier
    delivery_service: str
    shardkey: str
    sm_id: Int64
    date_created: Instant
    oof_shard: str
