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


def of_groups(*groups: int) -> pytest.MarkDecorator:
    """Parametrize a test by the drills of these groups."""
    chosen = [drill for drill in DRILLS if drill.group in groups]
    return pytest.mark.parametrize("drill", chosen, ids=lambda drill: f"{drill.group}-{drill.name}")


def run_short(drill: Drill, request: pytest.FixtureRequest, folder: Path) -> None:
    """Run a drill and check that no order is lost, half stored or stored twice."""
    fixture = "one_broker" if drill.brokers == 1 else "three_brokers"
    fixture = "citus" if drill.needs == "citus" else fixture
    if drill.missing:
        pytest.skip(drill.missing)
    servers: Servers = request.getfixturevalue(fixture)
    print(f"to repeat: DRILL_SEED={SEED}")  # noqa: T201 (shown where it fails)
    result = perform(drill, servers, folder, SEED, long=False, say=print)
    assert result.failure is None, result.failure
    assert result.tally.is_kept, "\n".join(result.tally.findings)
    assert result.tally.sent > 0
