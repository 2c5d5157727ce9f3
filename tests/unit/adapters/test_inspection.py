"""The inspections that need no server."""

import pytest

from orders.adapters.memory.inspection import MemoryInspection
from orders.adapters.read_path.no_cache import NoCacheInspection
from orders.domain.ports import Finding, Inspection
from tests.contracts.inspection import InspectionContract


class TestMemoryInspection(InspectionContract):
    @pytest.fixture
    def inspection(self) -> Inspection:
        return MemoryInspection("thing", [Finding("thing", "size", "problem", "big", "shrink it")])

    @pytest.fixture
    def unreachable(self) -> Inspection:
        inspection = MemoryInspection("thing", [Finding("thing", "size", "ok", "small")])
        inspection.available = False
        return inspection


async def test_no_cache_is_fine() -> None:
    (finding,) = await NoCacheInspection().inspect()
    assert (finding.part, finding.state) == ("redis", "ok")
