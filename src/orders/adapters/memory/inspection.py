"""An inspection with given findings."""

from collections.abc import Sequence

from orders.domain.ports import Finding, Inspection


class MemoryInspection(Inspection):
    """Returns ``findings``, by default none. Set ``available`` to False to simulate an outage."""

    def __init__(self, part: str, findings: Sequence[Finding] = ()) -> None:
        self.part = part
        self.findings = list(findings)
        self.available = True

    async def inspect(self) -> Sequence[Finding]:
        """See ``Inspection.inspect``."""
        if not self.available:
            return [Finding(self.part, "reachable", "problem", "is down", "bring it back")]
        return [Finding(self.part, "reachable", "ok", "kept in memory"), *self.findings]
