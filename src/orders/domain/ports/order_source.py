"""Where orders are imported from: files, another database."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from orders.domain.intake.faults import Fault
from orders.domain.order.model import Order


class Unreadable(Struct, frozen=True):
    """What a source holds in place of an order: its bytes, as far as they are known, and why."""

    code: str
    fault: Fault
    raw: bytes = b""


class SourceEntry(Struct, frozen=True, gc=False):
    """One entry of a source.

    ``position`` is for people, such as ``orders.json: element 3``; it has no personal data.
    ``content`` is an order, or JSON that has yet to be read, or what cannot be read at all.
    """

    position: str
    content: Order | bytes | Unreadable


class OrderSource(Protocol):
    """Orders to import."""

    @abstractmethod
    def batches(self) -> AsyncIterator[Sequence[SourceEntry]]:
        """Yield all entries in their order, in batches of a bounded size, none empty.

        Raises:
            NotFound: a file does not exist or cannot be read.
            Unavailable: a server is down; reading from the beginning again is safe.
        """
