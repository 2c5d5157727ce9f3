"""Look at all that the service rests on, and say what is wrong and what to do about it."""

import asyncio
from collections.abc import Mapping, Sequence

from msgspec import Struct

from orders.domain.errors import OrdersError
from orders.domain.ports import Finding, FindingState, Inspection

TIMEOUT = 5.0
"""Seconds that one part may take, away or frozen as it may be."""

_SEVERITY: tuple[FindingState, ...] = ("ok", "warning", "problem")
_ADVICE = "look at it, and whether the network lets us through"


class SystemReport(Struct, frozen=True):
    """``state`` is that of the worst finding."""

    state: FindingState
    findings: tuple[Finding, ...]


class InspectSystem:
    """The use case.

    ``parts`` are looked at all at once; each of ``behind`` afterwards, and only if the part that it
    is named with can be reached.
    """

    def __init__(
        self,
        parts: Mapping[str, Inspection],
        behind: Mapping[str, Mapping[str, Inspection]],
        timeout: float = TIMEOUT,
    ) -> None:
        self._parts = dict(parts)
        self._behind = dict(behind)
        self._timeout = timeout

    async def __call__(self) -> SystemReport:
        """Takes at most twice the time that one part may take."""
        found = await self._look(self._parts)
        reached = {findings[0].part for findings in found if findings[0].state != "problem"}
        for name in reached & self._behind.keys():
            found += await self._look(self._behind[name])
        all_found = tuple(finding for findings in found for finding in findings)
        return SystemReport(worst(all_found), all_found)

    async def _look(self, parts: Mapping[str, Inspection]) -> list[Sequence[Finding]]:
        return await asyncio.gather(*(self._one(name, part) for name, part in parts.items()))

    async def _one(self, name: str, part: Inspection) -> Sequence[Finding]:
        try:
            async with asyncio.timeout(self._timeout):
                return await part.inspect()
        except TimeoutError:
            text = f"no answer within {self._timeout:g} s"
        except OrdersError as error:
            text = str(error)
        except Exception as error:  # noqa: BLE001 (one part must not hide what the others found)
            text = f"looking at it failed unexpectedly ({type(error).__name__})"
        return [Finding(name, "reachable", "problem", text, _ADVICE)]


def worst(findings: Sequence[Finding]) -> FindingState:
    """The state of all of these together."""
    return max((finding.state for finding in findings), key=_SEVERITY.index, default="ok")
