"""Dead letters in memory, read again."""

from collections.abc import AsyncIterator

from msgspec.structs import replace

from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import DeadLetterReader, Entry, Places


class MemoryDeadLetterReader(DeadLetterReader):
    """Reads what was put into a ``MemoryDeadLetters``."""

    def __init__(self, dead_letters: MemoryDeadLetters) -> None:
        self._dead_letters = dead_letters

    @property
    def topic(self) -> str:
        """See ``DeadLetterReader.topic``."""
        return "orders.dlq"

    async def approximate_count(self) -> int | None:
        """See ``DeadLetterReader.approximate_count``."""
        await self._dead_letters.check()
        return len(self._dead_letters.written)

    async def read(self, places: Places | None = None) -> AsyncIterator[Entry]:
        """See ``DeadLetterReader.read``."""
        await self._dead_letters.check()
        for number, dead_letter in enumerate(
            tuple(self._dead_letters.written), self._dead_letters.start
        ):
            if places is None or (0, number) in places:
                yield Entry((0, number), dead_letter and _as_kept(dead_letter))


def _as_kept(dead_letter: DeadLetter) -> DeadLetter:
    """Of an array only the element is kept."""
    return replace(dead_letter, message=replace(dead_letter.message, value=None))
