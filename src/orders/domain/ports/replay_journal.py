"""What has been replayed: kept by identity, so that a replay that was cut off can go on."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from orders.domain.intake.messages import Identity
from orders.domain.ports.replay_target import Mark


class Run(Struct, frozen=True):
    """A replay that has begun to send and has not said how that went.

    What it sent stands behind ``mark``. ``again`` says that it sends what was replayed before.
    """

    started_at: datetime
    mark: Mark
    again: bool = False


class Replays(Struct, frozen=True):
    """What a journal holds: when each letter was replayed last, and a run that was cut off."""

    replayed: Mapping[Identity, datetime]
    unfinished: Run | None = None


class ReplayJournal(Protocol):
    """Anybody may read it; only who holds it writes."""

    @abstractmethod
    async def read(self) -> Replays:
        """All that is noted now.

        Raises:
            Unavailable: the journal is away.
        """

    @abstractmethod
    def hold(self) -> AbstractAsyncContextManager[None]:
        """Keep others from replaying meanwhile.

        Waits until it is clear that nobody does: one that was killed counts until its time is up.
        What is left by an error stays closed to others for as long, since what was sent may still
        be on its way.

        Raises:
            ReplayInProgress: somebody else holds it.
            Unavailable: the journal is away.
        """

    @abstractmethod
    async def begin(self, run: Run) -> None:
        """Note that letters will be sent now; in place of what was noted of a run before.

        Raises:
            ReplayInProgress: the journal is no longer ours; nothing may be sent.
            Unavailable: not confirmed.
        """

    @abstractmethod
    async def note(self, identities: Collection[Identity], at: datetime) -> None:
        """Note that these were replayed.

        Raises:
            Unavailable: not confirmed; noting it again is safe.
        """

    @abstractmethod
    async def finish(self) -> None:
        """Note that all that was sent is noted.

        Raises:
            Unavailable: not confirmed.
        """
