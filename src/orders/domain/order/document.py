"""The canonical JSON document of an order, and its digest.

Orders are sent to Redis, HTTP clients and the topic in this form only. Two orders are equal exactly
if their canonical documents are.
"""

import hashlib
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from orders.domain.order.model import Order

MEDIA_TYPE = "application/json"
DIGEST_SIZE = 16

encode = msgspec.json.Encoder().encode
"""Encode an order as canonical JSON: UTF-8, no spaces, fields in order, UTC with ``Z``."""


class StoredOrder(NamedTuple):
    """A stored order: its order_uid, its time, and its canonical document or its summary."""

    order_uid: str
    date_created: datetime
    document: bytes

    @classmethod
    def of(cls, order: Order) -> "StoredOrder":
        """Return ``order`` as a stored order."""
        return cls(order.order_uid, order.date_created, encode(order))


def digest(document: bytes) -> bytes:
    """Return the digest of a document, 16 bytes, for the ETag and for checks of cached values."""
    return hashlib.blake2b(document, digest_size=DIGEST_SIZE).digest()


def hex_digest(document: bytes) -> bytes:
    """Return the digest in hexadecimal, as ASCII."""
    return digest(document).hex().encode()


def belongs_to(document: bytes, order_uid: str) -> bool:
    """Whether a canonical document is of this order, judging by its beginning."""
    return document.startswith(b'{"order_uid":' + msgspec.json.encode(order_uid) + b",")


def in_utc(moment: datetime) -> datetime:
    """Return the same instant in UTC.

    Raises:
        OverflowError: it is outside the years 1 to 9999 in UTC.
    """
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
