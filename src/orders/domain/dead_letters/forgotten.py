"""Leaves out dead letters of orders that were forgotten."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from itertools import islice

import msgspec
from msgspec import Struct

from orders.domain.intake.messages import DeadLetter
from orders.domain.order.rules import ID_MAX_BYTES, is_order_uid
from orders.domain.ports import DeadLetterReader, Entry, Erasure, Places

_CHUNK = 500
_CHUNK_BYTES = 4 * 1024 * 1024
_MAX_NAMED = 10_000
_UIDS_AT_ONCE = 1_000


class _Named(Struct):
    order_uid: str


_decode = msgspec.json.Decoder(_Named).decode
_decode_text = msgspec.json.Decoder(str).decode
# Possessive, else a long text takes a hundred times its size.
_UID = re.compile(rb'"order_uid"\s*+:\s*+("(?:[^"\\]++|\\.)*+")')


def order_uids_in(dead_letter: DeadLetter) -> frozenset[str]:
    """Return the order_uids that the payload of a dead letter names, also if it is no valid JSON.

    If it names none, the key is taken for one. If it names more than ``_MAX_NAMED``, none are
    returned: whoever may write to the topic can send millions of them. What no order can have as
    its order_uid, such as a megabyte, is left out.
    """
    return frozenset(filter(is_order_uid, _names_in(dead_letter, _MAX_NAMED) or ()))


def _names_in(dead_letter: DeadLetter, most: int) -> list[str] | None:
    """Return what may be order_uids, or None if there are more than ``most``."""
    value = dead_letter.value or b""
    try:
        return [_decode(value).order_uid]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        literals = list(islice(_UID.finditer(value), most + 1))
    if len(literals) > most:
        return None
    found = list(map(_text_in, literals))
    if not any(found) and (key := dead_letter.message.key):
        found.append(key[: ID_MAX_BYTES + 1].decode(errors="replace"))
    return found


def _text_in(literal: re.Match[bytes]) -> str:
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        return _decode_text(literal[1])
    return ""


async def without_forgotten(
    dead_letters: Sequence[DeadLetter], erasure: Erasure
) -> list[DeadLetter]:
    """Return those that name no order, or at least one that is not forgotten.

    A message that failed as a whole may hold other orders as well. From where all of them name more
    than ``_MAX_NAMED``, only those that name one are looked at.

    Raises:
        Unavailable: the store is down.
    """
    named: list[frozenset[str]] = []
    room = _MAX_NAMED
    for dead_letter in dead_letters:
        names = _names_in(dead_letter, max(1, room))
        room = 0 if names is None else room - len(names)
        named.append(frozenset(filter(is_order_uid, names or ())))
    uids = iter(frozenset().union(*named))
    forgotten: set[str] = set()
    while some := list(islice(uids, _UIDS_AT_ONCE)):  # each query has a bounded time
        forgotten |= await erasure.forgotten_among(some)
    return [
        dead_letter
        for dead_letter, uids in zip(dead_letters, named, strict=True)
        if not uids or uids - forgotten
    ]


class RememberedDeadLetters(DeadLetterReader):
    """Reads from ``reader``; the entries of dead letters of forgotten orders are empty."""

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

    async def read(self, places: Places | None = None) -> AsyncIterator[Entry]:
        """See ``DeadLetterReader.read``; raises Unavailable also if the store is down."""
        chunk: list[Entry] = []
        size = 0
        async with aclosing(self._reader.read(places)) as entries:  # type: ignore[type-var]
            async for entry in entries:
                chunk.append(entry)
                size += entry.dead_letter.size if entry.dead_letter else 0
                if len(chunk) >= _CHUNK or size >= _CHUNK_BYTES:
                    for kept in await self._kept(chunk):
                        yield kept
                    chunk, size = [], 0
        for kept in await self._kept(chunk):
            yield kept

    async def _kept(self, chunk: Sequence[Entry]) -> list[Entry]:
        ours = [entry.dead_letter for entry in chunk if entry.dead_letter]
        kept = {id(one) for one in await without_forgotten(ours, self._erasure)}
        return [
            e
            if e.dead_letter is None or id(e.dead_letter) in kept
            else Entry(e.place, None, is_forgotten=True)
            for e in chunk
        ]
