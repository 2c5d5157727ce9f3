"""Dead letters in memory."""

from collections.abc import Sequence

from orders.domain.errors import Unavailable
from orders.domain.messages import DeadLetter, Origin
from orders.domain.ports import DeadLetters, Dependency


class MemoryDeadLetters(DeadLetters, Dependency):
    """Keeps the latest letter of each identity.

    Attributes:
        available: set it to False to have them be away.
    """

    def __init__(self) -> None:
        self.available = True
        self._letters: dict[tuple[Origin, int], DeadLetter] = {}

    @property
    def letters(self) -> list[DeadLetter]:
        """All letters, in the order in which their identities came first."""
        return list(self._letters.values())

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """See ``DeadLetters.put``."""
        await self.check()
        self._letters |= {letter.identity: letter for letter in letters}

    async def check(self) -> None:
        """See ``Dependency.check``."""
        if not self.available:
            raise Unavailable("the dead letters are away")
