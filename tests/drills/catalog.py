"""All drills, in the order in which they are run."""

from tests.drills import broker, kills, postgres, postgres_refusals, redis, signals, unreadable
from tests.drills.drill import Drill

DRILLS: tuple[Drill, ...] = (
    *kills.DRILLS,
    *postgres.DRILLS,
    *postgres_refusals.DRILLS,
    *redis.DRILLS,
    *broker.DRILLS,
    *unreadable.DRILLS,
    *signals.DRILLS,
)
