"""An inspection that finds what it was told."""

from collections.abc import Sequence

from orders.domain.ports import Finding, Inspection


class MemoryInspection(Inspection):
    """Finds ``findings``; none means all is well. Set ``available`` to False to have it be away."""

    def __init__(self, part: str, findings: Sequence[Finding] = ()) -> None:
        self.part = part
        self.findings = list(findings)
        self.available = True

    async def inspect(self) -> Sequence[Finding]:
        """See ``Inspection.inspect``."""
        if not self.available:
            return [Finding(self.part, "reachable", "problem", "is down", "bring it back")]
        return [Finding(self.part, "reachable", "ok", "kept in memory"), *self.findings]
