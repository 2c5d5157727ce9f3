"""Checks that a text is JSON, and finds the elements of a top-level array.

This is for messages that the decoders refuse. These do not distinguish a message that is not JSON
from one in which a single element has a lone surrogate or is nested too deep, while its neighbours
are valid. The scanner builds no values, so it accepts any depth and any escape; it only checks the
grammar of RFC 8259.
"""

import re
from itertools import accumulate, chain

from msgspec import Struct

_WS = rb"[ \t\n\r]*+"
_OPEN_STRING = rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+'
_STRING = _OPEN_STRING + rb'"'
# It may lack its end: to look for that from each quotation mark would take hours.
_ANY_STRING = _OPEN_STRING + rb'"?+'
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"

_BLANK = re.compile(_WS)
_SCALAR = _STRING + rb"|" + _NUMBER + rb"|true|false|null"
_KEY = _STRING + _WS + rb":" + _WS

_BEGINNING = re.compile(_SCALAR + rb"|[\[{]")
_NEXT_KEY = re.compile(_KEY)
# All scalar members of an object but the last in one match: that is most of a document.
_FLAT_MEMBERS = re.compile(rb"(?:(?:" + _SCALAR + rb")" + _WS + rb"," + _WS + _KEY + rb")*+")

SCANNED_VALUES = 10_000
BYTES_OF_VALUE = 8
"""Fewer than a value of an order has, on average and with its name."""
MOST_SCANNED = 250_000
"""Values of some 8,000 orders, for which a scan takes half a second."""

_ARRAY, _OBJECT, _COMMA = b"[", b"{", b","
_CLOSERS = {_ARRAY: b"]", _OBJECT: b"}"}


_SEPARATORS = b",[{"


def _all_but(characters: bytes) -> bytes:
    """Return the pattern of a text without these characters, other than in strings."""
    return rb'(?:[^"' + re.escape(characters) + rb"]++|" + _ANY_STRING + rb")"


_BRACKETS = re.compile(rb"([\[\]{}]++)|" + _ANY_STRING)
_TO_NEXT = {
    separators: re.compile(_all_but(separators) + rb"*+[" + re.escape(separators) + rb"]")
    for separators in (_SEPARATORS, _COMMA)
}


class MalformedError(ValueError):
    """The text is not JSON; ``position`` is the byte offset of the error."""

    def __init__(self, position: int) -> None:
        super().__init__(f"not JSON (byte {position})")
        self.position = position


class TooManyValuesError(ValueError):
    """The text has more than ``most`` values, each of which would take about a microsecond."""

    def __init__(self, most: int) -> None:
        super().__init__(f"more than {most} values")
        self.most = most


class Scan(Struct, frozen=True):
    """The result of a scan.

    ``kind`` is the first byte of the top-level value. ``spans`` are the elements of a top-level
    array as (start, end) byte offsets, or else the single value.
    """

    kind: bytes
    spans: list[tuple[int, int]]


def has_more_values(data: bytes, most: int, separators: bytes = _SEPARATORS) -> bool:
    """Whether ``data`` has more than ``most`` values, where each comma and bracket counts as one.

    This takes a fraction of a second and no memory, whatever ``data`` is.
    """
    if sum([data.count(separator) for separator in separators]) <= most:
        return False
    if b'"' not in data:
        return True
    to_next, at = _TO_NEXT[separators], 0
    for _ in range(most + 1):
        found = to_next.match(data, at)
        if found is None:
            return False
        at = found.end()
    return True


def depth(data: bytes) -> int:
    """Return the nesting depth of ``data``, which is JSON. This takes no memory, either."""
    brackets = chain.from_iterable(found[1] or b"" for found in _BRACKETS.finditer(data))
    return max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)


def scan(data: bytes) -> Scan:
    """Scan ``data``, which is UTF-8 without a byte order mark.

    Raises:
        MalformedError: ``data`` is not JSON.
        TooManyValuesError: it has more commas than ``SCANNED_VALUES``, and than one in
            ``BYTES_OF_VALUE``, or more values than ``MOST_SCANNED``.
    """
    most = max(SCANNED_VALUES, len(data) // BYTES_OF_VALUE)
    if has_more_values(data, most, _COMMA):
        raise TooManyValuesError(most)
    if has_more_values(data, MOST_SCANNED):
        raise TooManyValuesError(MOST_SCANNED)
    walk = _Walk(data)
    start, end = walk.to_the_end()
    kind = data[start : start + 1]
    return Scan(kind, walk.spans if kind == _ARRAY else [(start, end)])


class _Walk:
    """Walks over a text, value by value; ``spans`` are the elements of a top-level array."""

    def __init__(self, data: bytes) -> None:
        self.spans: list[tuple[int, int]] = []
        self._data = data
        self._position = 0
        self._open: list[bytes] = []  # the containers around the position, outermost first
        self._element = 0  # the start of the latest element of a top-level array

    def to_the_end(self) -> tuple[int, int]:
        """Return the start and end of the top-level value."""
        self._skip_blanks()
        start = self._position
        while True:
            self._take_value()
            self._close_what_ends()
            if not self._open:
                break
            self._next_member()
        end = self._position
        self._skip_blanks()
        if self._position != len(self._data):
            raise MalformedError(self._position)
        return start, end

    def _take_value(self) -> None:
        """Take the next scalar or empty container, opening the containers around it."""
        while True:
            if self._open == [_ARRAY]:
                self._element = self._position
            first = self._take(_BEGINNING)[:1]
            if first not in _CLOSERS:
                return
            self._skip_blanks()
            if self._peek() == _CLOSERS[first]:
                self._position += 1
                return
            self._open.append(first)
            self._begin_member()

    def _close_what_ends(self) -> None:
        """Close all containers that end after a value."""
        while self._open:
            if self._open == [_ARRAY]:
                self.spans.append((self._element, self._position))
            self._skip_blanks()
            if self._peek() != _CLOSERS[self._open[-1]]:
                return
            self._position += 1
            self._open.pop()

    def _next_member(self) -> None:
        if self._peek() != _COMMA:
            raise MalformedError(self._position)
        self._position += 1
        self._skip_blanks()
        self._begin_member()

    def _begin_member(self) -> None:
        if self._open[-1] == _OBJECT:
            self._take(_NEXT_KEY)
            self._take(_FLAT_MEMBERS)

    def _peek(self) -> bytes:
        return self._data[self._position : self._position + 1]

    def _skip_blanks(self) -> None:
        self._take(_BLANK)

    def _take(self, pattern: re.Pattern[bytes]) -> bytes:
        found = pattern.match(self._data, self._position)
        if found is None:
            raise MalformedError(self._position)
        self._position = found.end()
        return found.group()
