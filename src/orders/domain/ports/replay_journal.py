"""The journal of replays."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from orders.domain.intake.messages import MAX_ATTEMPT, Identity


class ReplayNote(Struct, frozen=True, gc=False):
    """When a dead letter was last replayed, and which attempt."""

    replayed_at: datetime
    attempt: int = MAX_ATTEMPT


class ReplayJournal(Protocol):
    """Notes by root; a lost note only means that a dead letter may be replayed once more."""

    @abstractmethod
    async def read(self) -> Mapping[Identity, ReplayNote]:
        """Return the latest note of each dead letter.

        Raises:
            Unavailable: the journal is unreachable.
        """

    @abstractmethod
    async def note(self, notes: Mapping[Identity, ReplayNote]) -> None:
        """Note that these were replayed; call it after their messages are acknowledged.

        Raises:
            Unavailable: not acknowledged; noting it again is safe.
        """
