"""Drills: crashes and PostgreSQL."""

from pathlib import Path

import pytest

from drills.drill import Drill
from tests.integration.drills.short_drills import of_groups, run_short


@of_groups(1, 2)
@pytest.mark.timeout(180)
def test_no_order_is_lost_half_stored_or_doubled(
    drill: Drill, request: pytest.FixtureRequest, drill_folder: Path
) -> None:
    run_short(drill, request, drill_folder)
