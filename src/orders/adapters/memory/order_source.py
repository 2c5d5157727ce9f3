"""A source of orders in this process' memory."""

from collections.abc import AsyncIterator, Sequence

from orders.domain.ports import OrderSource, SourceEntry


class MemoryOrderSource(OrderSource):
    """Yields ``entries`` in batches of ``size``."""

    def __init__(self, entries: Sequence[SourceEntry], size: int = 2) -> None:
        self._entries = entries
        self._size = size

    async def batches(self) -> AsyncIterator[Sequence[SourceEntry]]:
        """See ``OrderSource.batches``."""
        for at in range(0, len(self._entries), self._size):
            yield self._entries[at : at + self._size]
