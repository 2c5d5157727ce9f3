"""A JSON parser for the drills: no recursion, so that no nesting is too deep for it.

The standard library's own cannot be used as it is: it recurses, takes NaN and Infinity, refuses
integers of more than 4,300 digits, and does not say where an element begins and ends. Its scanner
of strings is strict about control characters and escapes, lets lone surrogates through, and serves
here as it is. Of a repeated key the last wins, as in a dict.
"""

import re
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

_BLANK = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))((?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
_WORDS = {"true": True, "false": False, "null": None}
_CLOSERS = {"[": "]", "{": "}"}
_FAR_OUT = 30
"""Digits of an integer that is out of 64 bits whatever they are."""


class NotJSON(ValueError):
    """The text is not JSON."""


@dataclass(frozen=True)
class Part:
    """A value as it was written, what it means, and how many arrays and objects lie within each
    other in it.
    """

    raw: bytes
    value: Any
    depth: int


@dataclass
class _Open:
    container: list[Any] | dict[str, Any]
    start: int
    closer: str
    key: str = ""
    depth: int = 1

    def take(self, value: Any, depth: int) -> None:
        """Add a member that is nested so deep itself."""
        self.depth = max(self.depth, depth + 1)
        if isinstance(self.container, list):
            self.container.append(value)
        else:
            self.container[self.key] = value


def parse(text: str) -> tuple[Part, list[Part]]:
    """The value that ``text`` holds, and the elements of it if it is an array.

    Raises:
        NotJSON: it is none.
    """
    elements: list[Part] = []
    stack: list[_Open] = []
    at = _blank(text, 0)
    while True:
        start, first = at, text[at : at + 1]
        if first in _CLOSERS:
            opened = _Open([] if first == "[" else {}, at, _CLOSERS[first])
            stack.append(opened)
            at = _blank(text, at + 1)
            if text[at : at + 1] != opened.closer:
                at = _member(text, at, opened)
                continue
            at, value, depth = at + 1, opened.container, 1
            stack.pop()
        else:
            value, at = _scalar(text, at)
            depth = 0
        while stack:  # a value has ended, and whatever ends with it
            around = stack[-1]
            around.take(value, depth)
            if len(stack) == 1 and around.closer == "]":
                elements.append(Part(text[start:at].encode(), value, depth))
            at = _blank(text, at)
            after = text[at : at + 1]
            if after == ",":
                at = _member(text, _blank(text, at + 1), around)
                break
            if after != around.closer:
                raise NotJSON
            start, at, value, depth = around.start, at + 1, around.container, around.depth
            stack.pop()
        if not stack:
            if _blank(text, at) != len(text):
                raise NotJSON
            return Part(text[start:at].encode(), value, depth), elements


def _blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _member(text: str, at: int, around: _Open) -> int:
    """Where the value of the next member begins; notes its key."""
    if around.closer == "]":
        return at
    if text[at : at + 1] != '"':
        raise NotJSON
    around.key, at = _string(text, at)
    at = _blank(text, at)
    if text[at : at + 1] != ":":
        raise NotJSON
    return _blank(text, at + 1)


def _scalar(text: str, at: int) -> tuple[Any, int]:
    if text[at : at + 1] == '"':
        return _string(text, at)
    for word, value in _WORDS.items():
        if text.startswith(word, at):
            return value, at + len(word)
    number = _NUMBER.match(text, at)
    if number is None:
        raise NotJSON
    digits, rest = number.groups()
    if rest:
        return 0.5, number.end()  # which one does not matter: no field takes any
    return int(digits[:_FAR_OUT]), number.end()


def _string(text: str, at: int) -> tuple[str, int]:
    try:
        value, end = scanstring(text, at + 1)
    except ValueError:
        raise NotJSON from None
    return value, end
