"""Queries for stored orders, cursors and pages."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from orders.domain.order.document import StoredOrder


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

    ``next`` is None on the last page.
    """

    orders: tuple[StoredOrder, ...]
    next: Cursor | None = None
