"""Leaves out dead letters of orders that were forgotten."""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, suppress

import msgspec
from msgspec import Struct

from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import DeadLetterReader, Entry, Erasure

_CHUNK = 500
_CHUNK_BYTES = 4 * 1024 * 1024


class _Named(Struct):
    order_uid: str


_decode = msgspec.json.Decoder(_Named).decode
_decode_text = msgspec.json.Decoder(str).decode
_UID = re.compile(rb'"order_uid"\s*:\s*("(?:[^"\\]|\\.)*")')


def order_uids_in(dead_letter: DeadLetter) -> frozenset[str]:
    """Return the order_uids that the payload of a dead letter names, also if it is no valid JSON.

    If it names none, the key is taken for one.
    """
    value = dead_letter.value or b""
    try:
        return frozenset({_decode(value).order_uid})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = frozenset(_texts(_UID.findall(value)))
    key = dead_letter.message.key
    return found or (frozenset({key.decode(errors="replace")}) if key else frozenset())


def _texts(literals: Sequence[bytes]) -> Iterator[str]:
    for literal in literals:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            yield _decode_text(literal)


async def without_forgotten(
    dead_letters: Sequence[DeadLetter], erasure: Erasure
) -> list[DeadLetter]:
    """Return those that name no order, or at least one that is not forgotten.

    A message that failed as a whole may hold other orders as well.

    Raises:
        Unavailable: the store is down.
    """
    named = [order_uids_in(dead_letter) for dead_letter in dead_letters]
    forgotten = await erasure.forgotten_among(frozenset().union(*named))
    return [
        dead_letter
        for dead_letter, uids in zip(dead_letters, named, strict=True)
        if not uids or uids - forgotten
    ]


class RememberedDeadLetters(DeadLetterReader):
    """Reads from ``reader``, without dead letters of forgotten orders."""

    def __init__(self, reader: DeadLetterReader, erasure: Erasure) -> None:
        self._reader = reader
        self._erasure = erasure

    @property
    def topic(self) -> str:
        """See ``DeadLetterReader.topic``."""
        return self._reader.topic

    async def approximate_count(self) -> int | None:
        """See ``DeadLetterReader.approximate_count``; counts all."""
        return await self._reader.approximate_count()

    async def read(self) -> AsyncIterator[Entry]:
        """See ``DeadLetterReader.read``; raises Unavailable also if the store is down."""
        chunk: list[Entry] = []
        size = 0
        async with aclosing(self._reader.read()) as entries:  # type: ignore[type-var]
            async for entry in entries:
                chunk.append(entry)
                size += len(entry.dead_letter.value or b"") if entry.dead_letter else 0
                if len(chunk) >= _CHUNK or size >= _CHUNK_BYTES:
                    for kept in await self._kept(chunk):
                        yield kept
                    chunk, size = [], 0
        for kept in await self._kept(chunk):
            yield kept

    async def _kept(self, chunk: Sequence[Entry]) -> list[Entry]:
        ours = [entry.dead_letter for entry in chunk if entry.dead_letter]
        kept = {id(one) for one in await without_forgotten(ours, self._erasure)}
        return [e for e in chunk if e.dead_letter is None or id(e.dead_letter) in kept]
