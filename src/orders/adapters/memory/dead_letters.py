"""Dead letters in memory."""

from collections.abc import Sequence

from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import DeadLetters, Dependency


class MemoryDeadLetters(DeadLetters, Dependency):
    """Keeps all that is written, as a topic of one partition would.

    Attributes:
        written: every dead letter in the order of writing; None for a message of somebody else.
        start: the offset of the first one, when those before it were deleted.
        available: set it to False to simulate an outage.
    """

    def __init__(self) -> None:
        self.available = True
        self.start = 0
        self.written: list[DeadLetter | None] = []

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The latest dead letter of each identity, in the order of their first copies."""
        return list(
            {
                dead_letter.identity: dead_letter for dead_letter in self.written if dead_letter
            }.values()
        )

    async def put(self, dead_letters: Sequence[DeadLetter]) -> None:
        """See ``DeadLetters.put``."""
        await self.check()
        self.written += dead_letters

    async def check(self) -> None:
        """See ``Dependency.check``."""
        if not self.available:
            raise Unavailable("the dead letters are unreachable")
