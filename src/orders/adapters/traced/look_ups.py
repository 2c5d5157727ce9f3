"""Which look-ups wait for which order.

The batch loader's queries are made for several requests and so in the context of none.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from opentelemetry.trace import Span


class LookUps:
    """The spans of look-ups in progress, by order_uid."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Span]] = {}

    @contextmanager
    def waiting(self, order_uids: Collection[str], span: Span) -> Iterator[None]:
        """Note that ``span`` waits for these orders during the block."""
        for uid in order_uids:
            self._waiting.setdefault(uid, []).append(span)
        try:
            yield
        finally:
            for uid in order_uids:
                spans = self._waiting[uid]
                spans.remove(span)
                if not spans:
                    del self._waiting[uid]

    def of(self, order_uids: Collection[str]) -> list[Span]:
        """The spans that wait for any of these orders, the longest waiting first."""
        found = {id(span): span for uid in order_uids for span in self._waiting.get(uid, ())}
        return list(found.values())
