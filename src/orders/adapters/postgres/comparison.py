"""Compares orders with those that are stored."""

from collections import defaultdict
from collections.abc import Sequence

from orders.adapters.postgres.documents import Documents, read_documents
from orders.adapters.postgres.session import Session
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.order.rules import is_storable


async def compare(
    session: Session, orders: Sequence[Order], step_seconds: float
) -> tuple[list[bool | None], Documents]:
    """Return of each order whether it is stored with this content, and what was read for that.

    It is None if no order with its order_uid can be read. Of a stored order no more is read than
    is sent: else whoever sends little would have a gigabyte read. Takes ``step_seconds`` at most.
    """
    documents = [_encoded(order) for order in orders]
    sizes: dict[str, int] = defaultdict(int)
    for order, document in zip(orders, documents, strict=True):
        uid = order.order_uid
        if is_storable(uid):
            sizes[uid] = max(sizes[uid], len(document))
    session.abort_after(step_seconds)
    stored = await read_documents(session, list(sizes), sizes)
    known = stored.found.keys() | stored.larger
    return [
        document == stored.found.get(order.order_uid) if order.order_uid in known else None
        for order, document in zip(orders, documents, strict=True)
    ], stored


def _encoded(order: Order) -> bytes:
    try:
        return encode(order)
    except (UnicodeEncodeError, OverflowError):  # so it is not what is stored
        return b""
