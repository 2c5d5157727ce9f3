"""The order as a document: the canonical bytes, and their identity.

``encode`` is the one form in which orders leave: to Redis, to HTTP, to the topic. Two orders are
equal exactly when their canonical bytes are, whichever way they came in.
"""

import hashlib
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from orders.domain.order.model import Order

MEDIA_TYPE = "application/json"
DIGEST_SIZE = 16

encode = msgspec.json.Encoder().encode
"""Canonical JSON of an order: UTF-8, no spaces, fields in the order of the structs, UTC with Z."""


class StoredOrder(NamedTuple):
    """An order as it is stored and served: its identity, its place in time, its canonical bytes."""

    order_uid: str
    date_created: datetime
    document: bytes

    @classmethod
    def of(cls, order: Order) -> "StoredOrder":
        """What storing ``order`` amounts to."""
        return cls(order.order_uid, order.date_created, encode(order))


def digest(document: bytes) -> bytes:
    """16 bytes that stand for exactly these bytes: the ETag, and the check on a cached value."""
    return hashlib.blake2b(document, digest_size=DIGEST_SIZE).digest()


def hex_digest(document: bytes) -> bytes:
    """The digest in hexadecimal, as ASCII."""
    return digest(document).hex().encode()


def belongs_to(document: bytes, order_uid: str) -> bool:
    """Whether canonical bytes are those of this order; looks only at how they begin."""
    return document.startswith(b'{"order_uid":' + msgspec.json.encode(order_uid) + b",")


def in_utc(moment: datetime) -> datetime:
    """The same instant in UTC.

    Raises:
        OverflowError: in UTC it lies outside the years 1 to 9999.
    """
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
