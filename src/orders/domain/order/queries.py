"""Which stored orders are wanted, and where a page ends."""

from datetime import datetime

from msgspec import Struct

from orders.domain.order.document import StoredOrder


class OrderQuery(Struct, frozen=True):
    """Filters, all of which an order must meet; None is no filter.

    ``created_from`` is inclusive, ``created_to`` exclusive; both carry an offset.
    """

    order_uid: str | None = None
    customer_id: str | None = None
    track_number: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


class Cursor(Struct, frozen=True):
    """The last order of a page. The next page begins right after it, whatever was stored since."""

    date_created: datetime
    order_uid: str


class Page(Struct, frozen=True):
    """Orders newest first (by date_created, then by the UTF-8 bytes of order_uid, both descending).

    ``next`` is None on the last page.
    """

    orders: tuple[StoredOrder, ...]
    next: Cursor | None = None
