"""The orders in the examples of the documents; all data is made up."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from orders.domain.order.document import encode
from orders.domain.order.model import Delivery, Item, Order, Payment
from orders.domain.order.summary import encode_summary

REQUEST_ID = "5f0c3a9e6d1b4f7c8a2e9d0b1c3f5a7e"

ORDER = Order(
    order_uid="b563feb7b2b84b6test",
    track_number="WBILMTESTTRACK",
    entry="WBIL",
    delivery=Delivery(
        name="Test Testov",
        phone="+9720000000",
        zip="2639809",
        city="Kiryat Mozkin",
        address="Ploshad Mira 15",
        region="Kraiot",
        email="test@example.com",
    ),
    payment=Payment(
        transaction="b563feb7b2b84b6test",
        request_id="",
        currency="USD",
        provider="wbpay",
        amount=1817,
        payment_dt=1637907727,
        bank="alpha",
        delivery_cost=1500,
        goods_total=317,
        custom_fee=0,
    ),
    items=(
        Item(
            chrt_id=9934930,
            track_number="WBILMTESTTRACK",
            price=453,
            rid="ab4219087a764ae0btest",
            name="Mascaras",
            sale=30,
            size="0",
            total_price=317,
            nm_id=2389212,
            brand="Vivienne Sabo",
            status=202,
        ),
    ),
    locale="en",
    internal_signature="",
    customer_id="test",
    delivery_service="meest",
    shardkey="9",
    sm_id=99,
    date_created=datetime(2021, 11, 26, 6, 22, 19, tzinfo=UTC),
    oof_shard="1",
)

ORDER_JSON: dict[str, Any] = msgspec.json.decode(encode(ORDER))
SUMMARY_JSON: dict[str, Any] = msgspec.json.decode(encode_summary(ORDER))

RANDOM_ORDER_JSON: dict[str, Any] = {
    "order_uid": "2439489ad1e34d5ab9bd99cd25b6a62e",
    "track_number": "WB41PJSO2KRV6S",
    "entry": "WBEU",
    "delivery": {
        "name": "Sean O'Malley",
        "phone": "+14721427154",
        "zip": "100701",
        "city": "Springfield",
        "address": "Plymouth Road 64",
        "region": "Oregon",
        "email": "customer640424@example.com",
    },
    "payment": {
        "transaction": "2439489ad1e34d5ab9bd99cd25b6a62e",
        "request_id": "",
        "currency": "USD",
        "provider": "cardpay",
        "amount": 5906,
        "payment_dt": 1767323045,
        "bank": "Öster",
        "delivery_cost": 500,
        "goods_total": 5256,
        "custom_fee": 150,
    },
    "items": [
        {
            "chrt_id": 9872593,
            "track_number": "WB41PJSO2KRV6S",
            "price": 6184,
            "rid": "fb97d43588561712",
            "name": "Кружка «Доброе утро»",
            "sale": 15,
            "size": "S",
            "total_price": 5256,
            "nm_id": 3101476,
            "brand": "Гжель",
            "status": 200,
        }
    ],
    "locale": "en",
    "internal_signature": "",
    "customer_id": "customer-6228",
    "delivery_service": "meest",
    "shardkey": "0",
    "sm_id": 84,
    "date_created": "2026-01-02T03:04:05.678901Z",
    "oof_shard": "2",
}
"""An order made by /random."""
