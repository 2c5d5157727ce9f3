"""How far a replica is behind its primary."""

import time
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.session import Session, Timeouts
from orders.domain.errors import Degraded
from orders.domain.ports import Dependency

REPLICA_TIMEOUTS = Timeouts(read=2.0, connection=0.5)
"""Short, since the primary has what a replica does not return in time."""

MAX_LAG = 30.0
"""Seconds of lag that are worth a notice."""

_LAG = """
    SELECT pg_is_in_recovery(),
           EXISTS (SELECT FROM pg_stat_wal_receiver),
           pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::int8,
           pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::int8
"""


class Lag(Struct, frozen=True):
    """``is_standby``: False after a promotion. ``receives``: whether its primary sends it changes.

    ``received`` and ``replayed``: positions in the WAL, in bytes.
    """

    is_standby: bool
    receives: bool
    received: int
    replayed: int

    @property
    def fault(self) -> str | None:
        """What is wrong at first sight, if anything is."""
        if self.is_standby and not self.receives:
            return "it receives nothing from its primary"
        return None


async def read_lag(session: Session) -> Lag:
    """Ask a server how far it is behind."""
    cursor = await session.execute(_LAG)
    is_standby, receives, received, replayed = (await cursor.fetchone()) or (False, False, 0, 0)
    return Lag(is_standby, receives, received or 0, replayed or 0)


class PostgresReplica(Dependency):
    """The replica that a process reads from; ``clock`` gives monotonic seconds."""

    def __init__(
        self, database: PostgresDatabase, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._clock = clock
        self._not_replayed: deque[tuple[float, int]] = deque()

    async def check(self) -> None:
        """See ``Dependency.check``.

        Raises:
            Degraded: it is far behind, or receives nothing from its primary.
        """
        await self._database.check()
        seconds = self._database.timeouts.check
        async with self._database.connection(seconds, wait=seconds / 2) as session:
            lag = await read_lag(session)
        behind = self._seconds_behind(lag)
        if lag.fault:
            raise Degraded(lag.fault)
        if behind > MAX_LAG:
            raise Degraded(f"it is {behind:.0f} s behind its primary")

    def _seconds_behind(self, lag: Lag) -> float:
        """For how long it has had changes that it has not replayed, as seen by these checks.

        The time of the last transaction would not do: after a quiet hour it is an hour old.
        """
        now = self._clock()
        self._not_replayed.append((now, lag.received))
        while self._not_replayed and self._not_replayed[0][1] <= lag.replayed:
            self._not_replayed.popleft()
        return now - self._not_replayed[0][0] if lag.is_standby and self._not_replayed else 0.0
