"""Dead letters in memory."""

import pytest

from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter
from tests.contracts.dead_letters import DeadLettersContract, DeadLettersSide, dead_letter


class MemorySide(DeadLettersSide):
    def __init__(self) -> None:
        self.dead_letters = MemoryDeadLetters()

    async def kept(self) -> list[DeadLetter]:
        return self.dead_letters.dead_letters


class TestMemoryDeadLetters(DeadLettersContract):
    @pytest.fixture
    def side(self) -> DeadLettersSide:
        return MemorySide()

    async def test_while_they_are_down_nothing_is_stored(self) -> None:
        dead_letters = MemoryDeadLetters()
        dead_letters.available = False
        with pytest.raises(Unavailable):
            await dead_letters.put([dead_letter()])
        with pytest.raises(Unavailable):
            await dead_letters.check()
        assert dead_letters.dead_letters == []
        dead_letters.available = True
        await dead_letters.check()
        await dead_letters.put([dead_letter()])
        assert dead_letters.dead_letters == [dead_letter()]
