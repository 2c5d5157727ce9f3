"""Deletes dead letters in memory."""

from collections.abc import Mapping

from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.domain.ports import DeadLetterDeletion


class MemoryDeadLetterDeletion(DeadLetterDeletion):
    """Deletes from a ``MemoryDeadLetters``."""

    def __init__(self, dead_letters: MemoryDeadLetters) -> None:
        self._dead_letters = dead_letters

    async def delete(self, ends: Mapping[int, int]) -> None:
        """See ``DeadLetterDeletion.delete``."""
        await self._dead_letters.check()
        number = min(ends.get(0, 0) - self._dead_letters.start, len(self._dead_letters.written))
        if number > 0:
            del self._dead_letters.written[:number]
            self._dead_letters.start += number
