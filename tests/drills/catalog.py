"""All drills, in the order in which they are run."""

from tests.drills import broker, kills, postgres, signals
from tests.drills.drill import Drill

DRILLS: tuple[Drill, ...] = (
    *kills.DRILLS,
    *postgres.DRILLS,
    *broker.DRILLS,
    *signals.DRILLS,
)
