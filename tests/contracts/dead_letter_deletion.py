"""What every deletion of dead letters keeps to. Subclasses give the fixture ``side``."""

from abc import abstractmethod
from typing import Protocol

import pytest

from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import DeadLetterDeletion, DeadLetterReader
from tests.contracts.dead_letters import dead_letter


class DeadLetterDeletionSide(Protocol):
    """The topic, with one partition or more; nothing is kept there at first."""

    deletion: DeadLetterDeletion
    reader: DeadLetterReader

    @abstractmethod
    async def put(self, *dead_letters: DeadLetter) -> None:
        """Write these dead letters, in this order."""


async def places(side: DeadLetterDeletionSide) -> list[tuple[int, int]]:
    return sorted([entry.place async for entry in side.reader.read()])


class DeadLetterDeletionContract:
    @pytest.fixture
    def side(self) -> DeadLetterDeletionSide:
        raise NotImplementedError

    async def test_deletes_up_to_an_offset(self, side: DeadLetterDeletionSide) -> None:
        await side.put(*(dead_letter(b"[%d]" % n, n) for n in range(9)))
        before = await places(side)
        partition = before[0][0]
        own = [offset for number, offset in before if number == partition]
        end = own[len(own) // 2] + 1
        kept = [place for place in before if place[0] != partition or place[1] >= end]
        for _ in range(2):
            await side.deletion.delete({partition: end})
            assert await places(side) == kept
        await side.put(dead_letter(b"[9]", 9))
        assert len(await places(side)) == len(kept) + 1

    async def test_nothing_to_delete(self, side: DeadLetterDeletionSide) -> None:
        await side.put(dead_letter(b"[1]", 1))
        await side.deletion.delete({})
        assert len(await places(side)) == 1
