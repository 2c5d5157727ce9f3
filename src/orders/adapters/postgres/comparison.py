"""Compares orders with those that are stored."""

from collections import defaultdict
from collections.abc import Sequence

from orders.adapters.postgres.documents import Documents, read_documents
from orders.adapters.postgres.session import Session
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.order.rules import is_storable

_SMALL_BYTES = 8_192
"""Bytes up to which stored documents are read together. Of a larger one, as of 1 MB, no more is
read than the orders have that are compared with it: whoever sends little would have a gigabyte
read."""


async def compare(
    session: Session, orders: Sequence[Order], step_seconds: float
) -> tuple[list[bool | None], Documents]:
    """Return of each order whether it is stored with this content, and what was read for that.

    It is None if no order with its order_uid can be read. Each query may take ``step_seconds``.
    """
    versions: dict[str, list[int]] = defaultdict(list)
    for number, order in enumerate(orders):
        if is_storable(order.order_uid):
            versions[order.order_uid].append(number)
    session.abort_after(step_seconds)
    stored = await read_documents(session, list(versions), _SMALL_BYTES)
    equalities: list[bool | None] = [None] * len(orders)
    for uid in stored.found.keys() | stored.larger:
        documents = [_encoded(orders[number]) for number in versions[uid]]
        document = stored.found.get(uid)
        longest = max(map(len, documents))
        if document is None and longest > _SMALL_BYTES:
            session.abort_after(step_seconds)
            document = (await read_documents(session, [uid], longest)).found.get(uid)
        for number, sent in zip(versions[uid], documents, strict=True):
            equalities[number] = sent == document
    return equalities, stored


def _encoded(order: Order) -> bytes:
    try:
        return encode(order)
    except (UnicodeEncodeError, OverflowError):  # so it is not what is stored
        return b""
