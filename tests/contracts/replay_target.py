"""What all targets of replays keep to. Subclasses give the fixture ``side``."""

import random
import time
from abc import abstractmethod
from typing import Protocol

import pytest

from orders.domain.dead_letters.headers import headers_of_replay
from orders.domain.intake.messages import ErrorCode, Message
from orders.domain.ports import ReplayTarget
from tests.contracts.dead_letters import dead_letter


class ReplayTargetSide(Protocol):
    """The other side of the port: its topic is empty at first."""

    target: ReplayTarget

    @abstractmethod
    async def arrived(self) -> list[Message]:
        """All messages in the topic."""


class ReplayTargetContract:
    @pytest.fixture
    def side(self) -> ReplayTargetSide:
        raise NotImplementedError

    async def test_a_message_goes_back_as_it_was(self, side: ReplayTargetSide) -> None:
        sent = dead_letter(b"\xff\x00 {", headers=(("x", b"\xff"), ("x", b"")), attempt=2)
        assert not await side.target.send([sent])
        [found] = await side.arrived()
        assert (found.value, found.key) == (sent.value, sent.message.key)
        assert found.headers == headers_of_replay(sent)
        assert found.headers == (
            ("x", b"\xff"),
            ("x", b""),
            ("orders-attempt", b"2"),
            ("orders-replay-of", b"orders/3:7:0"),
        )

    async def test_what_failed_as_a_replay_names_its_root(self, side: ReplayTargetSide) -> None:
        headers = (("orders-replay-of", b"orders/3:1:0"),)
        await side.target.send([dead_letter(headers=headers, attempt=2)])
        [found] = await side.arrived()
        assert dict(found.headers)["orders-replay-of"] == b"orders/3:1:0"

    async def test_its_time_is_that_of_sending(self, side: ReplayTargetSide) -> None:
        before = time.time_ns() // 1_000_000
        await side.target.send([dead_letter()])
        [found] = await side.arrived()
        assert before <= found.timestamp <= time.time_ns() // 1_000_000

    @pytest.mark.parametrize("key", [None, b"", b"k"])
    @pytest.mark.parametrize("value", [None, b"", b" "])
    async def test_null_is_not_empty(
        self, side: ReplayTargetSide, value: bytes | None, key: bytes | None
    ) -> None:
        await side.target.send([dead_letter(value, key=key)])
        [found] = await side.arrived()
        assert (found.value, found.key) == (value, key)

    @pytest.mark.parametrize("element", [b"[]", b" [[1], 2]", b"null"])
    async def test_an_element_that_would_be_another_kind_of_message_stays_an_element(
        self, side: ReplayTargetSide, element: bytes
    ) -> None:
        await side.target.send([dead_letter(element, code="invalid")])
        [found] = await side.arrived()
        assert found.value == b"[" + element + b"]"

    @pytest.mark.parametrize("code", ["undecodable", "empty"])
    async def test_a_whole_message_stays_whole(
        self, side: ReplayTargetSide, code: ErrorCode
    ) -> None:
        await side.target.send([dead_letter(b"[nul", code=code)])
        [found] = await side.arrived()
        assert found.value == b"[nul"

    async def test_many_arrive_once_each(self, side: ReplayTargetSide) -> None:
        dead_letters = [dead_letter(str(n).encode(), n, key=str(n).encode()) for n in range(700)]
        await side.target.send(dead_letters)
        await side.target.send([])
        assert sorted(x.value or b"" for x in await side.arrived()) == sorted(
            x.value or b"" for x in dead_letters
        )

    async def test_one_that_is_too_large_does_not_stop_its_neighbours(
        self, side: ReplayTargetSide
    ) -> None:
        noise = random.Random(0).randbytes(1_048_500)  # does not pack
        large = dead_letter(noise, 1, headers=(("x", noise[:500]),))
        dead_letters = [dead_letter(b"1", 0), large, dead_letter(b"2", 2)]
        assert list(await side.target.send(dead_letters)) == [large]
        assert sorted(x.value or b"" for x in await side.arrived()) == [b"1", b"2"]
