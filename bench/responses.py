"""HTTP/1.1 answers as they come in, in as many pieces as they like; light, for a load generator."""

from typing import NamedTuple

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


class BadAnswer(Exception):
    """The server has sent what nobody asked for."""


class Answer(NamedTuple):
    """One whole answer."""

    status: int
    body: bytes


class AnswerReader:
    """Reads the answers of one connection on which each request waits for the one before."""

    __slots__ = ("_body_at", "_end", "_held", "_status")

    def __init__(self) -> None:
        self._held = bytearray()
        self._end = 0

    def feed(self, data: bytes) -> Answer | None:
        """Take what has come in; the answer once it is whole.

        Raises:
            BadAnswer: it does not state its length, is no HTTP/1.1, or is followed by something;
                or there is no data, which is how a connection ends.
        """
        if not data:
            raise BadAnswer("the connection was closed")
        held = self._held
        if not held and not self._end:
            # Nearly always all of it comes at once, and need not be copied.
            self._read_head(data)
            if self._end == len(data):
                answer = Answer(self._status, data[self._body_at :])
                self._end = 0
                return answer
        held += data
        if not self._end:
            self._read_head(held)
        if not self._end or len(held) < self._end:
            return None
        if len(held) > self._end:
            raise BadAnswer("more than was asked for")
        answer = Answer(self._status, bytes(held[self._body_at :]))
        held.clear()
        self._end = 0
        return answer

    def _read_head(self, data: bytes | bytearray) -> None:
        at = data.find(_HEAD_END)
        if at < 0:
            return
        if not data.startswith(b"HTTP/1.1 "):
            raise BadAnswer("no HTTP/1.1")
        head = bytes(data[:at]).lower()
        found = head.find(_LENGTH)
        if found < 0:
            raise BadAnswer("an answer without content-length")
        begin = found + len(_LENGTH)
        end = head.find(b"\r\n", begin)
        self._status = int(data[9:12])
        self._body_at = at + len(_HEAD_END)
        self._end = self._body_at + int(head[begin : end if end > 0 else at])
