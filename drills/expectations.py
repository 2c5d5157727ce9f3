"""What is to become of each document that was sent, said by whoever sent it."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Good:
    """A valid order: to be stored, or a conflict where its uid is stored with other content.

    ``raw`` is the value of its dead letter then; by default any part of the message.
    """

    document: Document
    raw: bytes | None = None


@dataclass(frozen=True)
class Bad:
    """To be dead-lettered with one of ``codes``, its bytes as they are, and a detail in which
    ``detail`` (a regular expression) is found.
    """

    codes: frozenset[str]
    raw: bytes | None
    detail: str = ""

    def is_true(self, code: str, text: str) -> bool:
        """Whether this is a right reason."""
        return code in self.codes and re.search(self.detail, text) is not None


Expected = Good | Bad


def bad(raw: bytes | None, *codes: str, detail: str = "") -> Bad:
    """``Bad``, shorter."""
    return Bad(frozenset(codes), raw, detail)


@dataclass
class Ledger:
    """Expectations by message value. The same bytes sent again are expected to fare the same."""

    sent: int = 0
    _by_value: dict[bytes, Sequence[Expected]] = field(default_factory=dict)

    def expect(self, value: bytes | None, expected: Sequence[Expected]) -> None:
        """Note what each element of this message is to become, in the order of the array."""
        self._by_value[_digest(value)] = expected

    def acknowledged(self, value: bytes | None) -> None:
        """Note that the brokers have this message for good."""
        self.sent += len(self._by_value[_digest(value)])

    def expected(self, value: bytes | None) -> Sequence[Expected]:
        """What was said of this message; KeyError if nobody sent it."""
        return self._by_value[_digest(value)]


def _digest(value: bytes | None) -> bytes:
    return b"" if value is None else hashlib.sha256(value).digest()
