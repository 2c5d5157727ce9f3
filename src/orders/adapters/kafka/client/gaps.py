"""Gaps: messages that the brokers deleted before the group had read them.

Noted in the metadata of the group's commits, so that they are still known when the committed offset
has moved past them, whoever has the partition then.
"""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

KEPT = timedelta(days=7)
"""How long a gap is kept in mind."""


class Gap(Struct, frozen=True, tag="gap"):
    """The offsets of one partition from ``first`` up to, and not with, ``next``."""

    first: int
    next: int
    noticed_at: Annotated[datetime, Meta(tz=True)]

    @property
    def offsets(self) -> str:
        """For people."""
        return f"{self.first} to {self.next - 1}"

    @property
    def as_metadata(self) -> str:
        """What is written beside the committed offset."""
        return msgspec.json.encode(self).decode()

    def joined(self, other: "Gap | None") -> "Gap":
        """One that holds both."""
        if other is None:
            return self
        return Gap(
            min(self.first, other.first),
            max(self.next, other.next),
            max(self.noticed_at, other.noticed_at),
        )


def gap_in(metadata: str | None, now: datetime) -> Gap | None:
    """The gap that was noted there and is not too old; None for any other note."""
    if not metadata:
        return None
    try:
        gap = msgspec.json.decode(metadata, type=Gap)
    except msgspec.DecodeError:
        return None
    return gap if now - gap.noticed_at <= KEPT else None
