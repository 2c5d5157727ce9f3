"""Inspects all servers, and says what is wrong and what to do."""

import asyncio
from collections.abc import Mapping, Sequence

from msgspec import Struct

from orders.domain.errors import OrdersError
from orders.domain.ports import Finding, FindingState, Inspection

TIMEOUT = 5.0
"""Seconds that the inspection of one part may take."""

_SEVERITY: tuple[FindingState, ...] = ("ok", "warning", "problem")
_ADVICE = "check the server and the network between"


class SystemReport(Struct, frozen=True):
    """``state`` is that of the worst finding."""

    state: FindingState
    findings: tuple[Finding, ...]


class InspectSystem:
    """Inspects every part of the system at once.

    ``parts`` are looked at all at once. What is ``behind`` one of them comes next, if that one can
    be reached, and waits for no other.
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
        found = await asyncio.gather(
            *(self._both(name, part) for name, part in self._parts.items())
        )
        ahead = (finding for parts, _ in found for finding in parts)
        behind = (finding for _, parts in found for finding in parts)
        all_found = (*ahead, *behind)
        return SystemReport(worst(all_found), all_found)

    async def _both(
        self, name: str, part: Inspection
    ) -> tuple[Sequence[Finding], Sequence[Finding]]:
        """What is found out about a part, and about what is behind it."""
        ahead = await self._one(name, part)
        if ahead[0].state == "problem":
            return ahead, ()
        behind = await asyncio.gather(
            *(self._one(*inner) for inner in self._behind.get(name, {}).items())
        )
        return ahead, [finding for findings in behind for finding in findings]

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
