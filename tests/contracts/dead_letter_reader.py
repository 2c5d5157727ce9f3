"""What all readers of dead letters keep to. Subclasses give the fixture ``side``."""

from abc import abstractmethod
from operator import attrgetter
from typing import Protocol

import pytest

from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import DeadLetterReader, Entry, Places
from tests.contracts.dead_letters import dead_letter, essence


class DeadLetterReaderSide(Protocol):
    """The other side of the port: nothing is kept there at first."""

    reader: DeadLetterReader

    @abstractmethod
    async def put(self, *dead_letters: DeadLetter) -> None:
        """Write these dead letters, in this order."""

    @abstractmethod
    async def put_stranger(self) -> None:
        """Write something that is no dead letter."""


async def entries(side: DeadLetterReaderSide) -> list[Entry]:
    return [entry async for entry in side.reader.read()]


def in_order(found: list[Entry]) -> list[DeadLetter]:
    dead_letters = [entry.dead_letter for entry in found if entry.dead_letter]
    return sorted(dead_letters, key=lambda kept: (kept.identity, kept.failed_at))


class DeadLetterReaderContract:
    @pytest.fixture
    def side(self) -> DeadLetterReaderSide:
        raise NotImplementedError

    async def test_nothing_is_there_at_first(self, side: DeadLetterReaderSide) -> None:
        assert await side.reader.approximate_count() == 0
        assert await entries(side) == []

    async def test_dead_letters_come_as_they_were_put(self, side: DeadLetterReaderSide) -> None:
        put = [
            dead_letter(
                b"\xff\x00 {", 12, headers=(("x-request-id", b"\xff"), ("x", b"")), attempt=3
            ),
            dead_letter(None, 13, key=None, code="empty"),
            dead_letter(b"", 14, key=b"", code="empty", detail="ожидается 😀"),
        ]
        await side.put(*put)
        assert in_order(await entries(side)) == [essence(x) for x in put]
        assert await side.reader.approximate_count() == 3

    async def test_they_keep_the_order_of_their_place(self, side: DeadLetterReaderSide) -> None:
        await side.put(*(dead_letter(index=n) for n in range(1_500)))
        found = await entries(side)
        assert [x.place for x in found] == sorted(x.place for x in found)
        assert [x.dead_letter.index for x in found if x.dead_letter] == list(range(1_500))
        assert len({x.place for x in found}) == 1_500

    async def test_those_at_some_places_can_be_read_again(self, side: DeadLetterReaderSide) -> None:
        await side.put(*(dead_letter(index=n) for n in range(30)))
        found = await entries(side)
        for some in (found[7:8], [found[3], found[20], found[29]], found[::-1], []):
            places = Places(entry.place for entry in some)
            again = [entry async for entry in side.reader.read(places)]
            assert sorted(again, key=attrgetter("place")) == sorted(some, key=attrgetter("place"))

    async def test_what_is_written_twice_comes_twice(self, side: DeadLetterReaderSide) -> None:
        await side.put(dead_letter(), dead_letter(attempt=2))
        first, second = await entries(side)
        assert (first.dead_letter, second.dead_letter) == (
            essence(dead_letter()),
            essence(dead_letter(attempt=2)),
        )
        assert first.place < second.place

    async def test_strangers_are_told_apart(self, side: DeadLetterReaderSide) -> None:
        await side.put_stranger()
        await side.put(dead_letter())
        found = await entries(side)
        assert sorted(x.dead_letter is None for x in found) == [False, True]
        assert await side.reader.approximate_count() == 2

    async def test_reading_takes_nothing_away(self, side: DeadLetterReaderSide) -> None:
        await side.put(dead_letter())
        assert await entries(side) == await entries(side) != []

    async def test_what_comes_while_reading_is_left_for_the_next_time(
        self, side: DeadLetterReaderSide
    ) -> None:
        await side.put(dead_letter(index=0))
        found = []
        async for entry in side.reader.read():
            found.append(entry)
            await side.put(dead_letter(index=len(found)))
        assert len(found) == 1
        assert len(await entries(side)) == 2
