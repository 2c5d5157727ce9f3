"""Queries for stored orders, cursors, and what is found."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from orders.domain.order.document import StoredOrder
from orders.domain.order.rules import INT64_MAX

CURRENT = INT64_MAX
"""``as_of`` of what has no order that was forgotten before it was read."""


class View(StrEnum):
    """The form of the orders of a page: their canonical documents, or their summaries."""

    FULL = "full"
    SUMMARY = "summary"


class OrderQuery(Struct, frozen=True):
    """Filters, all of which an order must match, and the form of the result; None is no filter.

    ``created_from`` is inclusive, ``created_to`` exclusive; both carry an offset.
    """

    order_uid: str | None = None
    customer_id: str | None = None
    track_number: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    view: View = View.FULL


class Cursor(Struct, frozen=True):
    """The position of the last order of a page; the next page begins after it."""

    date_created: datetime
    order_uid: str


class Page(Struct, frozen=True):
    """Orders newest first (by date_created, then by the UTF-8 bytes of order_uid, both descending).

    ``next`` is None on the last page. ``as_of`` as in ``FoundDocuments``.
    """

    orders: tuple[StoredOrder, ...]
    next: Cursor | None = None
    as_of: int = CURRENT


class FoundDocuments(dict[str, bytes]):
    """Canonical documents by order_uid.

    ``as_of``: the position of the latest tombstone in the snapshot that they were read from, which
    is that of a server and may be an old one. Orders that were forgotten later may be among them.
    ``CURRENT`` if none can be.
    """

    def __init__(self, documents: Mapping[str, bytes] | None = None, as_of: int = CURRENT) -> None:
        super().__init__(documents or {})
        self.as_of = as_of
