"""Look whether dead letters wait for somebody."""

from collections.abc import Sequence

from orders.domain.ports import Finding, Inspection
from orders.domain.use_cases.list_dead_letters import ListDeadLetters

PART = "dead-letters"


class InspectDeadLetters(Inspection):
    """Counts those that wait, by code."""

    def __init__(self, dead_letters: ListDeadLetters) -> None:
        self._dead_letters = dead_letters

    async def inspect(self) -> Sequence[Finding]:
        """See ``Inspection.inspect``."""
        waiting = await self._dead_letters.waiting()
        if waiting is None:
            text = "not known: their topic is missing, or the brokers do not tell of it"
            return [Finding(PART, "waiting", "warning", text, "see to their topic first")]
        if not waiting:
            return [Finding(PART, "waiting", "ok", "none")]
        codes = ", ".join(f"{number} {code}" for code, number in sorted(waiting.items()))
        text = f"{sum(waiting.values())} for somebody to look at: {codes}"
        return [Finding(PART, "waiting", "warning", text, "see them by `orders dlq list`")]
