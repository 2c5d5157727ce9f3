"""Is it JSON, and where does each element of a top-level array begin and end?

For messages that the typed decoder has refused. A parser that builds values cannot tell these apart:
a message that is not JSON at all (all of it is lost on us) from one where a single element holds a
lone surrogate or is nested too deep (its neighbours are good). This one builds nothing, so it takes
any depth and any escape; it knows the grammar of RFC 8259 and nothing else.
"""

import re

from msgspec import Struct

_WS = rb"[ \t\n\r]*+"
_STRING = rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"'
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"

_BLANK = re.compile(_WS)
_VALUE = re.compile(_STRING + rb"|" + _NUMBER + rb"|true|false|null|[\[{]")
_KEY = re.compile(_STRING + _WS + rb":")

_ARRAY, _OBJECT = ord("["), ord("{")
_CLOSER = {_ARRAY: ord("]"), _OBJECT: ord("}")}
_COMMA = ord(",")


class MalformedError(ValueError):
    """Not JSON; ``position`` is the offset in bytes at which the grammar was left."""

    def __init__(self, position: int) -> None:
        super().__init__(f"not JSON (byte {position})")
        self.position = position


class Scan(Struct, frozen=True):
    """What stands in a well-formed text.

    ``kind`` is the first byte of the top-level value (``b"["``, ``b"{"``, or a scalar's). ``spans``
    holds the elements of a top-level array as (start, end) offsets in bytes; for anything else
    the one value.
    """

    kind: bytes
    spans: list[tuple[int, int]]


def scan(data: bytes) -> Scan:
    """Check ``data`` (UTF-8, without a byte order mark) against the grammar and find the elements.

    Raises:
        MalformedError: it is not JSON.
    """
    root = position = _blank(data, 0)
    open_: bytearray = bytearray()  # the containers around the current position, outermost first
    spans: list[tuple[int, int]] = []
    element = root  # where the latest value directly inside a top-level array began
    while True:
        if len(open_) == 1 and open_[0] == _ARRAY:
            element = position
        value = _VALUE.match(data, position)
        if value is None:
            raise MalformedError(position)
        first, position = data[position], value.end()
        if first in _CLOSER:
            open_.append(first)
            position = _blank(data, position)
            if data[position : position + 1] != bytes((_CLOSER[first],)):
                position = _member(data, position, first)
                continue
        # A value has ended here, and perhaps the containers that it was the last part of.
        while True:
            if first in _CLOSER and data[position : position + 1] == bytes((_CLOSER[first],)):
                open_.pop()
                position += 1
            if len(open_) == 1 and open_[0] == _ARRAY:
                spans.append((element, position))
            end, position = position, _blank(data, position)
            if not open_:
                if position != len(data):
                    raise MalformedError(position)
                kind = data[root : root + 1]
                return Scan(kind, spans if kind == b"[" else [(root, end)])
            first = open_[-1]
            following = data[position] if position < len(data) else -1
            if following == _COMMA:
                position = _member(data, _blank(data, position + 1), first)
                break
            if following != _CLOSER[first]:
                raise MalformedError(position)


def _blank(data: bytes, position: int) -> int:
    """The offset of the first byte from ``position`` on that is not white space."""
    blank = _BLANK.match(data, position)
    return blank.end() if blank else position


def _member(data: bytes, position: int, container: int) -> int:
    """The offset at which the next value of the container begins: past the key, in an object."""
    if container == _ARRAY:
        return position
    key = _KEY.match(data, position)
    if key is None:
        raise MalformedError(position)
    return _blank(data, key.end())
