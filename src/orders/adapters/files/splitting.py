"""Splits text into the documents in it: lines, elements of an array, or values in sequence.

Only as much of JSON is looked at as is necessary to find where an element ends, so that a broken
one does not hide those behind it. The text may come in chunks of any size; what is held of it is
one document and one chunk.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

MAX_DOCUMENT = 10_000_000
"""Bytes of the largest document; a larger one is dropped while it is read."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANKS = b" \t\r\n"
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_OUTSIDE = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + rb")*+", re.DOTALL)
_INSIDE = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+", re.DOTALL)
_REST_OF_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_QUOTE = ord('"')
_OPENING = dict(zip(b"]}", b"[{", strict=True))
"""The opening bracket of each closing one."""


class Piece(NamedTuple):
    """A document and its place; ``raw`` is None if it is too large."""

    place: str
    raw: bytes | None


class UnclosedError(Exception):
    """The text ends within an array."""


def split(chunks: Iterator[bytes], most: int = MAX_DOCUMENT) -> Iterator[Piece]:
    """Yield the documents of a text.

    A text that starts with a bracket is an array, behind which there may be lines. One whose first
    line is a lone brace has values over many lines. Everything else is one document a line.

    Raises:
        UnclosedError: the text ends within an array; all before was yielded.
    """
    start = b""
    for chunk in chunks:
        start += chunk
        text = start.removeprefix(_BYTE_ORDER_MARK).lstrip(_BLANKS)
        if text[:1] == b"[" or b"\n" in text or len(text) > most:
            break
    text = start.removeprefix(_BYTE_ORDER_MARK)
    if text.lstrip(_BLANKS)[:1] == b"[":
        yield from _split_array(text[text.index(b"[") + 1 :], chunks, most)
    elif text.lstrip(_BLANKS).partition(b"\n")[0].rstrip(_BLANKS) == b"{":
        yield from _Values(is_array=False, most=most).split(chain((text,), chunks))
    else:
        yield from _split_lines(chain((text,), chunks), most)


def _split_array(text: bytes, chunks: Iterator[bytes], most: int) -> Iterator[Piece]:
    values = _Values(is_array=True, most=most)
    yield from values.split(chain((text,), chunks))
    behind = _split_lines(chain((values.rest,), chunks), most)
    for place, raw in behind:
        yield Piece(f"behind the array, {place}", raw)


def _split_lines(chunks: Iterator[bytes], most: int) -> Iterator[Piece]:
    number = 1
    rest = b""
    is_dropped = False
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if is_dropped or line.strip(_BLANKS):
                yield _piece("line", number, line, most, is_dropped=is_dropped)
            number += 1
            is_dropped = False
        if len(rest) > most:
            rest, is_dropped = b"", True
    if is_dropped or rest.strip(_BLANKS):
        yield _piece("line", number, rest, most, is_dropped=is_dropped)


def _piece(kind: str, number: int, raw: bytes, most: int, *, is_dropped: bool) -> Piece:
    is_too_large = is_dropped or len(raw) > most
    return Piece(f"{kind} {number}", None if is_too_large else raw.strip(_BLANKS))


def _match_end(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


class _Values:
    """Splits at the commas of an array, or after each value if ``is_array`` is false.

    ``rest`` is what was read behind the array.
    """

    def __init__(self, *, is_array: bool, most: int) -> None:
        self._is_array = is_array
        self._most = most
        self.rest = b""
        self._number = 0
        self._text = b""
        self._start = self._at = 0  # of the value, and of what was not looked at yet
        self._opened = bytearray()  # the brackets around it
        self._in_string = False

    def split(self, chunks: Iterator[bytes]) -> Iterator[Piece]:
        """Yield the values; ends behind the closing bracket of an array.

        Raises:
            UnclosedError: there is none.
        """
        is_dropped = False
        for chunk in chunks:
            self._text = self._text[self._start :] + chunk
            self._start, self._at = 0, self._at - self._start
            for end in self._ends():
                raw, is_last = self._text[self._start : end], self._text[end : self._at] == b"]"
                if self._number or is_dropped or not is_last or raw.strip(_BLANKS):
                    yield self._next(raw, is_dropped=is_dropped)
                self._start, is_dropped = self._at, False
                if is_last:
                    self.rest = self._text[self._at :]
                    return
            if self._at - self._start > self._most:
                self._start, is_dropped = self._at, True
        raw = self._text[self._start :]
        if is_dropped or raw.strip(_BLANKS):
            yield self._next(raw, is_dropped=is_dropped)
        if self._is_array:
            raise UnclosedError

    def _ends(self) -> Iterator[int]:
        """Go through the text and yield where values end."""
        for byte in self._separators():
            if self._is_array and not self._opened and byte in b",]":
                yield self._at - 1
            elif byte in _OPENING:
                # What was left open inside is closed as well.
                if (place := self._opened.rfind(_OPENING[byte])) >= 0:
                    del self._opened[place:]
                if not self._is_array and not self._opened:
                    yield self._at
            else:
                self._opened.append(byte)

    def _separators(self) -> Iterator[int]:
        """Yield brackets outside of strings, and commas between elements; stop behind them."""
        text = self._text
        while True:
            if self._in_string:
                self._at = _match_end(_REST_OF_STRING, text, self._at)
                if text[self._at : self._at + 1] != b'"':  # the end of the text, or half an escape
                    return
                self._at += 1
                self._in_string = False
            is_between = self._is_array and not self._opened
            self._at = _match_end(_OUTSIDE if is_between else _INSIDE, text, self._at)
            if self._at == len(text):
                return
            byte = text[self._at]
            self._at += 1
            if byte == _QUOTE:
                self._in_string = True
            else:
                yield byte

    def _next(self, raw: bytes, *, is_dropped: bool) -> Piece:
        self._number += 1
        return _piece("element", self._number, raw, self._most, is_dropped=is_dropped)
