"""What every inspection keeps to."""

import time
from collections.abc import Sequence

from orders.domain.ports import Finding, Inspection
from orders.domain.use_cases.inspect_system import TIMEOUT

SECRET = "hunter2"
"""Stands where a password stands in what ``unreachable`` is given."""


class InspectionContract:
    """Mixed into a class of tests, with these fixtures.

    ``inspection``: of something that is there. ``unreachable``: of something that is not.
    """

    async def test_says_first_that_it_can_be_reached(self, inspection: Inspection) -> None:
        first, *others = await inspection.inspect()
        assert first.state == "ok"
        assert {finding.part for finding in others} <= {first.part}

    async def test_looks_again_as_before(self, inspection: Inspection) -> None:
        first = whats(await inspection.inspect())
        assert whats(await inspection.inspect()) == first

    async def test_every_problem_has_advice(self, inspection: Inspection) -> None:
        for finding in await inspection.inspect():
            assert finding.text
            assert finding.advice or finding.state != "problem"

    async def test_what_cannot_be_reached_is_one_problem_found_soon(
        self, unreachable: Inspection
    ) -> None:
        began = time.monotonic()
        (finding,) = await unreachable.inspect()
        assert time.monotonic() - began < TIMEOUT
        assert finding.state == "problem"
        assert finding.text
        assert finding.advice
        assert SECRET not in repr(finding)


def whats(findings: Sequence[Finding]) -> list[str]:
    """What was looked at."""
    return [finding.what for finding in findings]


def found(findings: Sequence[Finding], what: str) -> Finding:
    """The one finding about this."""
    (finding,) = [finding for finding in findings if finding.what == what]
    return finding
