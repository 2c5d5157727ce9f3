"""Compares orders with those that are stored."""

from collections import defaultdict
from collections.abc import Sequence

from orders.adapters.postgres.documents import Documents, parts_within, read_documents
from orders.adapters.postgres.session import Session
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.order.rules import is_storable

BYTES_AT_ONCE = 2**21
"""Sizes of the documents that are asked for at once. What is read may be several times that: of
texts, PostgreSQL counts characters that a document has escaped."""


async def compare(
    session: Session, orders: Sequence[Order], step_seconds: float
) -> tuple[list[bool | None], Documents]:
    """Return of each order whether it is stored with this content, and what else was found out.

    It is None if no order with its order_uid can be read. Of a stored order no more is read than
    is sent, and of all only a part at a time, which takes ``step_seconds`` at most: else whoever
    sends little would have a gigabyte read. So no documents are returned.
    """
    documents = [_encoded(order) for order in orders]
    sizes: dict[str, int] = defaultdict(int)
    indices: dict[str, list[int]] = defaultdict(list)
    for index, (order, document) in enumerate(zip(orders, documents, strict=True)):
        uid = order.order_uid
        if is_storable(uid):
            sizes[uid] = max(sizes[uid], len(document))
            indices[uid].append(index)
    are_stored: list[bool | None] = [None] * len(orders)
    others = Documents.none()
    for part in parts_within(BYTES_AT_ONCE, sizes.items()):
        session.abort_after(step_seconds)
        read = await read_documents(session, part, sizes)
        for uid in read.found.keys() | read.larger:
            for index in indices[uid]:
                are_stored[index] = documents[index] == read.found.get(uid)
        others.damaged.update(read.damaged)
        others.not_searchable.update(read.not_searchable)
        others.forgotten.update(read.forgotten)
    return are_stored, others


def _encoded(order: Order) -> bytes:
    try:
        return encode(order)
    except (UnicodeEncodeError, OverflowError):  # so it is not what is stored
        return b""
