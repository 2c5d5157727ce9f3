"""Which dead letters were replayed, and when."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from orders.domain.intake.messages import MAX_ATTEMPT, Identity


class ReplayNote(Struct, frozen=True):
    """When a dead letter was last replayed, and which of its attempts that was."""

    replayed_at: datetime
    attempt: int = MAX_ATTEMPT


class ReplayJournal(Protocol):
    """Notes by root identity; a lost note only means that a dead letter may be sent once more."""

    @abstractmethod
    async def read(self) -> Mapping[Identity, ReplayNote]:
        """The latest note of each dead letter.

        Raises:
            Unavailable: the journal is unreachable.
        """

    @abstractmethod
    async def note(self, notes: Mapping[Identity, ReplayNote]) -> None:
        """Note that these were replayed, once their messages are confirmed.

        Raises:
            Unavailable: not confirmed; noting it again is safe.
        """
