"""Dead letters in memory."""

from collections.abc import Sequence

from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import DeadLetters, Dependency


class MemoryDeadLetters(DeadLetters, Dependency):
    """Keeps all that is written, as a topic of one partition would.

    Attributes:
        written: every letter in the order of writing; None for a message of somebody else.
        available: set it to False to have them be away.
    """

    def __init__(self) -> None:
        self.available = True
        self.written: list[DeadLetter | None] = []

    @property
    def letters(self) -> list[DeadLetter]:
        """The latest letter of each identity, in the order in which the identities came first."""
        return list({letter.identity: letter for letter in self.written if letter}.values())

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """See ``DeadLetters.put``."""
        await self.check()
        self.written += letters

    async def check(self) -> None:
        """See ``Dependency.check``."""
        if not self.available:
            raise Unavailable("the dead letters are away")
