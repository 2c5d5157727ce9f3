"""Look whether dead letters wait for somebody."""

from collections.abc import Sequence

from orders.domain.dead_letters.index import MAX_ATTEMPTS
from orders.domain.ports import Finding, Inspection
from orders.domain.use_cases.list_dead_letters import DeadLetterCounts, ListDeadLetters

PART = "dead-letters"

READING_SECONDS = 3.0
"""How long they are read; an operator who asks how things are does not wait for a million."""


class InspectDeadLetters(Inspection):
    """Counts those that wait, by code, and those that have failed too often."""

    def __init__(
        self, dead_letters: ListDeadLetters, reading_seconds: float = READING_SECONDS
    ) -> None:
        self._dead_letters = dead_letters
        self._reading_seconds = reading_seconds

    async def inspect(self) -> Sequence[Finding]:
        """See ``Inspection.inspect``."""
        counts = await self._dead_letters.count(self._reading_seconds)
        if counts is None:
            text = "not known: their topic is missing, or the brokers do not tell of it"
            return [Finding(PART, "waiting", "warning", text, "see to their topic first")]
        findings = [_waiting(counts)]
        if counts.exhausted:
            text = f"{counts.exhausted} failed {MAX_ATTEMPTS} times or more; replays skip them"
            advice = "see them by `orders dlq list --state exhausted`; try again by --max-attempts"
            findings.append(Finding(PART, "exhausted", "warning", text, advice))
        return findings


def _waiting(counts: DeadLetterCounts) -> Finding:
    extent = ""
    if not counts.is_complete:
        extent = f" (among the first {counts.read} of about {counts.places} messages)"
    number = sum(counts.waiting.values())
    if not number and counts.is_complete:
        return Finding(PART, "waiting", "ok", "none")
    if not number:
        return Finding(PART, "waiting", "warning", "none" + extent, "see all: `orders dlq list`")
    codes = ", ".join(f"{amount} {code}" for code, amount in sorted(counts.waiting.items()))
    text = f"{number} for somebody to look at: {codes}{extent}"
    return Finding(PART, "waiting", "warning", text, "see them by `orders dlq list`")
