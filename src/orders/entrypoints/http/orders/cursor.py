"""Encodes the cursor of a page as opaque text for links."""

from orders.domain.order.queries import Cursor
from orders.domain.order.rules import Instant
from orders.entrypoints.http.opaque_text import OpaqueText

_NAME = "a cursor"
_text = OpaqueText(tuple[Instant, str], _NAME)


def to_text(cursor: Cursor) -> str:
    """Encode a cursor; the text needs no escaping in a URL."""
    return _text.encode((cursor.date_created, cursor.order_uid))


def from_text(text: str) -> Cursor:
    """Decode the text of a cursor.

    Raises:
        ValueError: ``to_text`` did not make it.
    """
    cursor = Cursor(*_text.decode(text))
    if "\0" in cursor.order_uid:
        raise ValueError(f"not {_NAME}")
    return cursor
