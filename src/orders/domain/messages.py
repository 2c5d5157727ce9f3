"""What comes from the topic, and what goes to the dead letters."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

ErrorCode = Literal["undecodable", "invalid", "conflict", "rejected", "empty"]

Headers = tuple[tuple[str, bytes], ...]


class Origin(Struct, frozen=True, order=True):
    """Where a message stands in its topic; with an index, the identity of a dead letter."""

    topic: str
    partition: int
    offset: int


class Message(Struct, frozen=True):
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

    ``receipt`` is the source's own; whoever received the batch hands it back unread.
    """

    messages: tuple[Message, ...]
    receipt: object = None


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
    def identity(self) -> tuple[Origin, int]:
        """What tells this letter from others, also when it is written twice."""
        return self.message.origin, self.index
