"""The documents."""

from datetime import datetime

from pydantic import BaseModel


class Delivery(BaseModel):
    name: str
    phone: str
    zip: str
    city: str
    address: str
    region: str
    email: str


class Payment(BaseModel):
    transaction: str
    request_id: str
    currency: str
    provider: str
    amount: int
    payment_dt: int
    bank: str
    delivery_cost: int
    goods_total: int
    custom_fee: int


class Item(BaseModel):
    chrt_id: int
    track_number: str
    price: int
    rid: str
    name: str
    sale: int
    size: str
    total_price: int
    nm_id: int
    brand: str
    status: int


class Order(BaseModel):
    order_uid: str
    track_number: str
    entry: str
    delivery: Delivery
    payment: Payment
    items: list[Item]
    locale: str
    internal_signature: str
    customer_id: str
    delivery_service: str
    shardkey: str
    sm_id: int
    date_created: datetime
    oof_shard: str
