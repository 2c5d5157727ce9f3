"""The short set of the fault drills; `make drill` runs them at length."""

import os
import random
from pathlib import Path

import pytest

from drills.catalog import DRILLS
from drills.drill import Drill
from drills.performing import perform
from drills.servers import Servers

SEED = int(os.environ.get("DRILL_SEED") or random.randrange(1_000_000))


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: f"{drill.group}-{drill.name}")
@pytest.mark.timeout(180)
def test_no_order_is_lost_half_stored_or_doubled(
    drill: Drill, request: pytest.FixtureRequest, drill_folder: Path
) -> None:
    servers: Servers = request.getfixturevalue(
        "one_broker" if drill.brokers == 1 else "three_brokers"
    )
    print(f"to repeat: DRILL_SEED={SEED}")  # noqa: T201 (shown where it fails)
    result = perform(drill, servers, drill_folder, SEED, long=False, say=print)
    assert result.failure is None
    assert result.tally.is_kept, "\n".join(result.tally.findings)
    assert result.tally.sent > 0
