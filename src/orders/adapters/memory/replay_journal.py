"""A journal of replays in memory."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime

from orders.domain.errors import OrdersError, ReplayInProgress, Unavailable
from orders.domain.intake.messages import Identity
from orders.domain.ports import ReplayJournal, Replays, Run


class MemoryJournalStore:
    """What several journals share.

    Attributes:
        available: set it to False to have it be away.
        holder: the journal that is held now.
    """

    def __init__(self) -> None:
        self.available = True
        self.replayed: dict[Identity, datetime] = {}
        self.unfinished: Run | None = None
        self.holder: object = None


class MemoryReplayJournal(ReplayJournal):
    """One reader and writer of a store."""

    def __init__(self, store: MemoryJournalStore) -> None:
        self._store = store

    async def read(self) -> Replays:
        """See ``ReplayJournal.read``."""
        self._check()
        return Replays(dict(self._store.replayed), self._store.unfinished)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """See ``ReplayJournal.hold``."""
        self._check()
        if self._store.holder is not None:
            raise ReplayInProgress("another replay is running")
        self._store.holder = self
        try:
            yield
        finally:
            self._store.holder = None

    async def begin(self, run: Run) -> None:
        """See ``ReplayJournal.begin``."""
        self._check_held()
        self._store.unfinished = run

    async def note(self, identities: Collection[Identity], at: datetime) -> None:
        """See ``ReplayJournal.note``."""
        self._check_held()
        self._store.replayed |= dict.fromkeys(identities, at)

    async def finish(self) -> None:
        """See ``ReplayJournal.finish``."""
        self._check_held()
        self._store.unfinished = None

    def _check_held(self) -> None:
        self._check()
        if self._store.holder is not self:
            raise OrdersError("the journal is not held")

    def _check(self) -> None:
        if not self._store.available:
            raise Unavailable("the journal is away")
