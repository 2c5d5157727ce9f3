"""What all dead letters keep to. Subclasses give the fixture ``side``."""

from abc import abstractmethod
from datetime import UTC, datetime
from random import Random
from typing import Any, Protocol, get_args

import msgspec
import pytest

from orders.domain.intake.messages import DeadLetter, ErrorCode, Headers, Identity, Message, Origin
from orders.domain.ports import DeadLetters

FAILED_AT = datetime(2026, 2, 3, 4, 5, 6, 789, UTC)


class DeadLettersSide(Protocol):
    """The other side of the port: nothing is kept there at first."""

    dead_letters: DeadLetters

    @abstractmethod
    async def kept(self) -> list[DeadLetter]:
        """All that is kept; of dead letters with the same identity the latest."""


def dead_letter(
    value: bytes | None = b"{]",
    index: int = 0,
    offset: int = 7,
    key: bytes | None = b"key",
    headers: Headers = (),
    **others: Any,
) -> DeadLetter:
    message = Message(
        Origin("orders", 3, offset), b"whole message", key, 1_600_000_000_123, headers
    )
    fields = {"code": "undecodable", "detail": "$: must be JSON (byte 1)"} | others
    return DeadLetter(message, index, value, failed_at=FAILED_AT, **fields)


def essence(kept: DeadLetter) -> DeadLetter:
    """Without the value of the whole message, which is not kept besides the dead letter's own."""
    return msgspec.structs.replace(kept, message=msgspec.structs.replace(kept.message, value=None))


class DeadLettersContract:
    @pytest.fixture
    def side(self) -> DeadLettersSide:
        raise NotImplementedError

    async def holds(self, side: DeadLettersSide, *dead_letters: DeadLetter) -> bool:
        def by_identity(kept: DeadLetter) -> Identity:
            return kept.identity

        kept = sorted(map(essence, await side.kept()), key=by_identity)
        return kept == sorted(map(essence, dead_letters), key=by_identity)

    async def test_keeps_a_dead_letter_with_all_that_is_known(self, side: DeadLettersSide) -> None:
        kept = dead_letter(
            b"\xff\x00 {", 12, headers=(("x-request-id", b"\xff"), ("x", b"")), attempt=3
        )
        await side.dead_letters.put([kept])
        assert await self.holds(side, kept)

    @pytest.mark.parametrize("code", get_args(ErrorCode))
    async def test_keeps_every_code_and_any_text(
        self, side: DeadLettersSide, code: ErrorCode
    ) -> None:
        kept = dead_letter(code=code, detail="$.payment.amount: ожидается int 😀")
        await side.dead_letters.put([kept])
        assert await self.holds(side, kept)

    @pytest.mark.parametrize("key", [None, b"", b"k"])
    @pytest.mark.parametrize("value", [None, b"", b" "])
    async def test_tells_null_from_empty(
        self, side: DeadLettersSide, value: bytes | None, key: bytes | None
    ) -> None:
        kept = dead_letter(value, key=key, code="empty")
        await side.dead_letters.put([kept])
        assert await self.holds(side, kept)

    async def test_elements_of_one_message_are_dead_letters_of_their_own(
        self, side: DeadLettersSide
    ) -> None:
        dead_letters = [dead_letter(str(n).encode(), n) for n in range(100)]
        await side.dead_letters.put(dead_letters)
        assert await self.holds(side, *dead_letters)

    async def test_putting_again_makes_no_other_dead_letter(self, side: DeadLettersSide) -> None:
        dead_letters = [dead_letter(offset=n) for n in range(3)]
        await side.dead_letters.put(dead_letters[:2])
        await side.dead_letters.put(dead_letters)
        assert await self.holds(side, *dead_letters)

    async def test_nothing_put_nothing_kept(self, side: DeadLettersSide) -> None:
        await side.dead_letters.put([])
        assert await self.holds(side)

    async def test_a_message_near_the_limit_of_its_topic_fits(self, side: DeadLettersSide) -> None:
        # Bytes that no codec makes smaller: the limit holds for what is stored.
        noise = Random(1)
        headers = tuple((f"x-{n}", noise.randbytes(1_000)) for n in range(50))
        kept = dead_letter(noise.randbytes(998_000), headers=headers, detail="d" * 1_000)
        await side.dead_letters.put([kept])
        assert await self.holds(side, kept)
