"""A topic in memory, with one group that reads it."""

import time
import zlib
from collections.abc import Callable

from orders.domain.intake.messages import Headers, Message, Origin

MAX_MESSAGE_BYTES = 1_048_588
"""Largest message: key, value, headers and what a broker adds; a broker's default."""

_OVERHEAD = 86


class MemoryTopic:
    """Partitions of messages, and the position of the group in each.

    Attributes:
        partitions: all messages ever sent, by partition, each in order.
        committed: the offset of the next message that the group has not dealt with, by partition.
        reader: who reads for the group now; whoever comes later takes over.
    """

    def __init__(self, name: str = "orders", partitions: int = 1) -> None:
        if partitions < 1:
            raise ValueError("partitions must be 1 or more")
        self.name = name
        self.partitions: tuple[list[Message], ...] = tuple([] for _ in range(partitions))
        self.committed = [0] * partitions
        self.reader: object = None
        self._watchers: list[Callable[[], None]] = []
        self._turn = 0

    def append(
        self,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers = (),
        timestamp: int | None = None,
    ) -> Origin:
        """Send a message: by its key to a partition, in turn to all of them without one.

        ``timestamp`` is in ms of Unix time, None for now.
        """
        partition = self._partition_of(key)
        messages = self.partitions[partition]
        origin = Origin(self.name, partition, len(messages))
        now = time.time_ns() // 1_000_000
        messages.append(Message(origin, value, key, timestamp or now, headers))
        for notify in self._watchers:
            notify()
        return origin

    def watch(self, notify: Callable[[], None]) -> None:
        """Have ``notify`` called after every message."""
        self._watchers.append(notify)

    def _partition_of(self, key: bytes | None) -> int:
        if key is None:
            self._turn += 1
            return self._turn % len(self.partitions)
        return zlib.crc32(key) % len(self.partitions)


def size_in_topic(value: bytes, key: bytes, headers: Headers) -> int:
    """Bytes that a message counts for when it is held against ``MAX_MESSAGE_BYTES``."""
    return _OVERHEAD + len(key) + len(value) + sum(len(n.encode()) + len(v) for n, v in headers)
