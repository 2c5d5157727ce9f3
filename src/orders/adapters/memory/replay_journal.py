"""A journal of replays in memory."""

from collections.abc import Mapping

from orders.domain.errors import Unavailable
from orders.domain.intake.messages import Identity
from orders.domain.ports import ReplayJournal, ReplayNote


class MemoryJournalStore:
    """What several journals share.

    Attributes:
        available: set it to False to make it unreachable.
        notes: the latest note of each dead letter.
    """

    def __init__(self) -> None:
        self.available = True
        self.notes: dict[Identity, ReplayNote] = {}


class MemoryReplayJournal(ReplayJournal):
    """One reader and writer of a store."""

    def __init__(self, store: MemoryJournalStore) -> None:
        self._store = store

    async def read(self) -> Mapping[Identity, ReplayNote]:
        """See ``ReplayJournal.read``."""
        self._check()
        return dict(self._store.notes)

    async def note(self, notes: Mapping[Identity, ReplayNote]) -> None:
        """See ``ReplayJournal.note``."""
        self._check()
        self._store.notes |= notes

    def _check(self) -> None:
        if not self._store.available:
            raise Unavailable("the journal is down")
