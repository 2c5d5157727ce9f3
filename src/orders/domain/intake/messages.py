"""What comes from the topic, and what goes to the dead letters."""

import re
from datetime import datetime
from typing import Literal

from msgspec import Struct

ErrorCode = Literal["undecodable", "invalid", "conflict", "rejected", "empty"]

Headers = tuple[tuple[str, bytes], ...]

BATCH_MESSAGES = 1_200
"""Most messages in a batch. Two are stored at a time, and others wait: with 2,500 the process held
25 MB more and was a tenth faster with a backlog. With 640 it was an eighth slower."""
BATCH_BYTES = 14 * 128 * 1024
"""Values of a batch come to no more than this, unless a single one does: room for 1,200 orders of
1.5 KB."""

_IDENTITY = re.compile(r"([a-zA-Z0-9._-]+)/([0-9]{1,19}):([0-9]{1,19}):([0-9]{1,19})")


class Origin(Struct, frozen=True, order=True, gc=False):
    """Where a message stands in its topic; with an index, the identity of a dead letter."""

    topic: str
    partition: int
    offset: int


class Identity(Struct, frozen=True, order=True, gc=False):
    """What tells a dead letter from others, also when it is written twice.

    As a text: ``topic/partition:offset:index``.
    """

    origin: Origin
    index: int

    def __str__(self) -> str:
        origin = self.origin
        return f"{origin.topic}/{origin.partition}:{origin.offset}:{self.index}"

    @classmethod
    def parse(cls, text: str) -> "Identity":
        """The identity that is written as ``text``.

        Raises:
            ValueError: it is none.
        """
        found = _IDENTITY.fullmatch(text)
        if found is None:
            raise ValueError("not an identity: topic/partition:offset:index")
        topic, *numbers = found.groups()
        partition, offset, index = map(int, numbers)
        return cls(Origin(topic, partition, offset), index)


class Message(Struct, frozen=True, gc=False):
    """One message as it was sent.

    ``value`` None is a tombstone; ``timestamp`` is in milliseconds of Unix time.
    """

    origin: Origin
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 0
    headers: Headers = ()


class Batch(Struct, frozen=True):
    """Messages that were received together and will be committed together.

    ``ack_token`` is the source's own; whoever received the batch hands it back unread.
    """

    messages: tuple[Message, ...]
    ack_token: object = None


MAX_ATTEMPT = 999
"""Attempts are not counted beyond this: the number may come from anybody."""


class DeadLetter(Struct, frozen=True):
    """A message, or one element of it, that was not stored, and why.

    ``value`` holds its original bytes, ``detail`` is for people and free of values,
    ``attempt`` is 1, and more where it had been a dead letter and was sent again.
    """

    message: Message
    index: int
    value: bytes | None
    code: ErrorCode
    detail: str
    failed_at: datetime
    attempt: int = 1

    @property
    def identity(self) -> Identity:
        """What tells this letter from others, also when it is written twice."""
        return Identity(self.message.origin, self.index)

    @property
    def as_message(self) -> bytes | None:
        """The bytes of a message that is read as this letter was.

        An element of an array that is itself an array, or null, would alone be taken for a message
        of another kind, and is put into an array of one. No whole message is such a letter: arrays
        are taken apart, and a lone null is ``empty``.
        """
        value = self.value
        if value is None or self.code in ("undecodable", "empty"):
            return value
        return b"[" + value + b"]" if value.lstrip(b" \t\n\r")[:1] in (b"[", b"n") else value
