"""Encodes the cursor of a page as opaque text for links."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64

import msgspec

from orders.domain.order.queries import Cursor
from orders.domain.order.rules import Instant

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Instant, str]).decode


def to_text(cursor: Cursor) -> str:
    """Encode a cursor; the text needs no escaping in a URL."""
    return urlsafe_b64encode(_encode((cursor.date_created, cursor.order_uid))).rstrip(b"=").decode()


def from_text(text: str) -> Cursor:
    """Decode the text of a cursor.

    Raises:
        ValueError: ``to_text`` did not make it.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        cursor = Cursor(*_decode(urlsafe_b64decode(padded)))
        if "\0" not in cursor.order_uid and to_text(cursor) == text:
            return cursor
    except (UnicodeError, NotBase64, msgspec.DecodeError, OverflowError):
        pass
    raise ValueError("not a cursor")
