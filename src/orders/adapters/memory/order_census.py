"""A census of orders in this process' memory."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from random import Random

import msgspec

from orders.domain.ports import OrderCensus


class MemoryOrderCensus(OrderCensus):
    """Compares documents by order_uid."""

    def __init__(self, documents: Mapping[str, bytes]) -> None:
        self._documents = documents

    async def days(self) -> Mapping[str, int]:
        """See ``OrderCensus.days``."""
        decoded = map(msgspec.json.decode, self._documents.values())
        return Counter(order["date_created"][:10] for order in decoded)

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

    async def documents(self, order_uids: Sequence[str]) -> Mapping[str, bytes]:
        """See ``OrderCensus.documents``."""
        return {uid: self._documents[uid] for uid in order_uids if uid in self._documents}
