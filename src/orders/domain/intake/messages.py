"""Messages from the topic, and dead letters."""

import re
import sys
from datetime import datetime
from functools import lru_cache
from typing import Literal

from msgspec import Struct

ErrorCode = Literal["undecodable", "invalid", "excessive", "conflict", "rejected", "empty"]

Headers = tuple[tuple[str, bytes], ...]

BATCH_MESSAGES = 1_200
"""The most messages in a batch: a trade-off between memory and speed (docs/performance.md)."""
BATCH_BYTES = 14 * 128 * 1024
"""The size of the messages of a batch at most, unless a single one is larger: 1,200 of 1.5 KB."""

MAX_MESSAGE_BYTES = 16 * 2**20
"""The largest message that is read. A topic takes 1 MiB packed by default; arrays of orders pack
to a tenth at best. In memory an order of many items takes five times its size, and a text with one
emoji four times; a consumer has several messages at a time."""

_HEADER_BYTES = 64

_IDENTITY = re.compile(r"([a-zA-Z0-9._-]+)/([0-9]{1,19}):([0-9]{1,19}):([0-9]{1,19})")


class Origin(Struct, frozen=True, order=True, gc=False):
    """The position of a message in its topic."""

    topic: str
    partition: int
    offset: int


_shared = lru_cache(maxsize=16)(Origin)
"""The dead letters of an array, which come one after the other, share one object."""


class Identity(Struct, frozen=True, order=True, gc=False):
    """The identity of a dead letter, which its copies have in common.

    Written as ``topic/partition:offset:index``.
    """

    origin: Origin
    index: int

    def __str__(self) -> str:
        origin = self.origin
        return f"{origin.topic}/{origin.partition}:{origin.offset}:{self.index}"

    @classmethod
    def parse(cls, text: str) -> "Identity":
        """Parse an identity.

        Raises:
            ValueError: ``text`` is not one.
        """
        found = _IDENTITY.fullmatch(text)
        if found is None:
            raise ValueError("not an identity: topic/partition:offset:index")
        topic, *numbers = found.groups()
        partition, offset, index = map(int, numbers)
        return cls(_shared(sys.intern(topic), partition, offset), index)


UnreadCode = Literal["undecodable", "excessive"]


class Unread(Struct, frozen=True, gc=False):
    """Why a message could not be read from its topic: ``rule`` is broken.

    It stands for as many ``messages``, of which it is the first.
    """

    code: UnreadCode
    rule: str
    messages: int = 1


class Message(Struct, frozen=True, gc=False):
    """A message as it was sent.

    ``value`` None is a tombstone; ``timestamp`` is in milliseconds of Unix time. Nothing else is
    known of a message that is ``unread``.
    """

    origin: Origin
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 0
    headers: Headers = ()
    unread: Unread | None = None

    @property
    def size(self) -> int:
        """The bytes of value, key and headers, with those that an empty header takes in memory."""
        return _size(self.value, self)


class Batch(Struct, frozen=True):
    """Messages that are received and committed together.

    ``ack_token`` belongs to the source, which gets it back with the commit.
    """

    messages: tuple[Message, ...]
    ack_token: object = None


MAX_ATTEMPT = 999
"""The highest attempt that is counted, since any producer can send the header."""


class DeadLetter(Struct, frozen=True):
    """A message, or an element of its array, that could not be stored, with the reason.

    ``value`` has the original bytes, ``detail`` is a text for people without values of the order,
    and ``attempt`` is 1 plus the number of replays that failed.

    If ``omitted`` is not 0, key, value and headers could not be kept: only the source topic has
    them, in as many messages from this one on.
    """

    message: Message
    index: int
    value: bytes | None
    code: ErrorCode
    detail: str
    failed_at: datetime
    attempt: int = 1
    omitted: int = 0

    @property
    def size(self) -> int:
        """The size of its value, with key and original headers as ``Message.size``."""
        return _size(self.value, self.message)

    @property
    def identity(self) -> Identity:
        """The identity, which copies have in common."""
        return Identity(self.message.origin, self.index)

    @property
    def as_message(self) -> bytes | None:
        """The payload of a message that is read in the same way as this dead letter was.

        An element that is itself an array or null would be read differently on its own, so it is
        wrapped in an array. This never applies to a whole message: the elements of an array are
        refused one by one, or all of it is ``excessive``, and a lone null is ``empty``.
        """
        value = self.value
        if value is None or self.code in ("undecodable", "excessive", "empty"):
            return value
        return b"[" + value + b"]" if value.lstrip(b" \t\n\r")[:1] in (b"[", b"n") else value


def _size(value: bytes | None, message: Message) -> int:
    size = len(value or b"") + len(message.key or b"")
    for name, content in message.headers:
        size += _HEADER_BYTES + len(name) + len(content)
    return size
