"""All drills, in the order in which they are run."""

from tests.drills import kills, signals
from tests.drills.drill import Drill

DRILLS: tuple[Drill, ...] = (
    *kills.DRILLS,
    *signals.DRILLS,
)
