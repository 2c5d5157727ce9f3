"""Checks whether dead letters are waiting."""

from collections.abc import Sequence

from orders.domain.dead_letters.index import MAX_ATTEMPTS
from orders.domain.ports import Finding, Inspection
from orders.domain.use_cases.list_dead_letters import DeadLetterCounts, ListDeadLetters

PART = "dead-letters"

READING_SECONDS = 3.0
"""Time limit for counting them."""


class InspectDeadLetters(Inspection):
    """Counts waiting dead letters by code, and exhausted ones."""

    def __init__(
        self, dead_letters: ListDeadLetters, reading_seconds: float = READING_SECONDS
    ) -> None:
        self._dead_letters = dead_letters
        self._reading_seconds = reading_seconds

    async def inspect(self) -> Sequence[Finding]:
        """See ``Inspection.inspect``."""
        counts = await self._dead_letters.count(self._reading_seconds)
        if counts is None:
            text = "unknown: their topic does not exist, or this client may not describe it"
            return [Finding(PART, "waiting", "warning", text, "create or repair their topic first")]
        findings = [_waiting(counts)]
        if counts.exhausted:
            text = f"{counts.exhausted} failed {MAX_ATTEMPTS} times or more; replays skip them"
            advice = (
                "list them with `orders dlq list --state exhausted`; --max-attempts replays them"
            )
            findings.append(Finding(PART, "exhausted", "warning", text, advice))
        return findings


def _waiting(counts: DeadLetterCounts) -> Finding:
    scope = ""
    if not counts.is_complete:
        scope = f" (among the first {counts.read} of about {counts.total} records)"
    number = sum(counts.waiting.values())
    if not number and counts.is_complete:
        return Finding(PART, "waiting", "ok", "none")
    if not number:
        return Finding(
            PART, "waiting", "warning", "none" + scope, "list all with `orders dlq list`"
        )
    codes = ", ".join(f"{amount} {code}" for code, amount in sorted(counts.waiting.items()))
    text = f"{number} to be handled: {codes}{scope}"
    return Finding(PART, "waiting", "warning", text, "list them with `orders dlq list`")
