"""A census of orders in this process' memory."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from random import Random

import msgspec

from orders.domain.ports import OrderCensus, OrderNumbers


class MemoryOrderCensus(OrderCensus):
    """Compares documents by order_uid."""

    def __init__(self, documents: Mapping[str, bytes]) -> None:
        orders = {uid: msgspec.json.decode(document) for uid, document in documents.items()}
        whole = {uid: o for uid, o in orders.items() if o.get("delivery") and o.get("payment")}
        self._documents = {uid: documents[uid] for uid in whole}
        days = Counter(order["date_created"][:10] for order in whole.values())
        self._numbers = OrderNumbers(days, incomplete=len(orders) - len(whole))

    async def numbers(self) -> OrderNumbers:
        """See ``OrderCensus.numbers``."""
        return self._numbers

    async def uids(self, sample: int | None, seed: int) -> AsyncIterator[Sequence[str]]:
        """See ``OrderCensus.uids``."""
        uids = sorted(self._documents)
        if sample is not None:
            uids = sorted(uids, key=lambda uid: Random(f"{uid}{seed}").random())[:sample]  # noqa: S311
        if uids:
            yield uids

    async def known(self, order_uids: Sequence[str]) -> set[str]:
        """See ``OrderCensus.known``."""
        return self._documents.keys() & set(order_uids)

    async def documents(self, order_uids: Sequence[str]) -> AsyncIterator[Mapping[str, bytes]]:
        """See ``OrderCensus.documents``; each comes alone."""
        for uid in order_uids:
            if uid in self._documents:
                yield {uid: self._documents[uid]}
