"""Which look-ups wait for which order.

The batch loader's queries are made for several requests and so in the context of none.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import islice

from opentelemetry.trace import Span

MAX_CALLERS = 128
"""Look-ups that get a link to a query that they share."""


class LookUps:
    """The spans of look-ups in progress, by order_uid."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, Span]] = {}

    @contextmanager
    def waiting(self, order_uids: Collection[str], span: Span) -> Iterator[None]:
        """Note that ``span`` waits for these orders during the block."""
        for uid in order_uids:
            self._waiting.setdefault(uid, {})[id(span)] = span
        try:
            yield
        finally:
            for uid in order_uids:
                spans = self._waiting[uid]
                del spans[id(span)]
                if not spans:
                    del self._waiting[uid]

    def of(self, order_uids: Collection[str]) -> list[Span]:
        """Spans that wait for any of these orders, up to ``MAX_CALLERS``."""
        spans = (span for uid in order_uids for span in self._waiting.get(uid, {}).values())
        return list(islice(dict.fromkeys(spans), MAX_CALLERS))
