"""How far a replica is behind its primary."""

from msgspec import Struct

from orders.adapters.postgres.database import PostgresDatabase
from orders.adapters.postgres.session import Session, Timeouts
from orders.domain.errors import Degraded
from orders.domain.ports import Dependency

REPLICA_TIMEOUTS = Timeouts(read=2.0, connection=0.5)
"""Short, since the primary has what a replica does not return in time."""

MAX_LAG = 30.0
"""Seconds of lag that are worth a notice."""

# A standby that receives nothing has replayed all that it received, however old that is.
_LAG = """
    SELECT pg_is_in_recovery(),
           EXISTS (SELECT FROM pg_stat_wal_receiver),
           CASE WHEN pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn()
                THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())
           END::float8
"""


class Lag(Struct, frozen=True):
    """``is_standby``: False after a promotion. ``receives``: whether its primary sends it changes.

    ``seconds``: since the commit of the last transaction that it replayed, 0 if all are replayed
    that it received.
    """

    is_standby: bool
    receives: bool
    seconds: float

    def __str__(self) -> str:
        if not self.is_standby:
            return "it is a primary"
        if not self.receives:
            return "it receives nothing from its primary"
        return f"{self.seconds:.1f} s behind its primary"


async def read_lag(session: Session) -> Lag:
    """Ask a server how far it is behind."""
    cursor = await session.execute(_LAG)
    is_standby, receives, seconds = (await cursor.fetchone()) or (False, False, None)
    return Lag(is_standby, receives, seconds or 0.0)


class PostgresReplica(Dependency):
    """The replica that a process reads from."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def check(self) -> None:
        """See ``Dependency.check``.

        Raises:
            Degraded: it is far behind, or receives nothing from its primary.
        """
        await self._database.check()
        seconds = self._database.timeouts.check
        async with self._database.connection(seconds, wait=seconds / 2) as session:
            lag = await read_lag(session)
        if lag.is_standby and (not lag.receives or lag.seconds > MAX_LAG):
            raise Degraded(str(lag))
