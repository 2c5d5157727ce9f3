"""Encodes positions in lists as opaque text for URLs and headers."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode


class OpaqueText(Generic[T]):
    """The text of values of ``kind``; ``name`` is for the error."""

    def __init__(self, kind: type[T], name: str) -> None:
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._name = name

    def encode(self, value: T) -> str:
        """Encode a value; the text needs no escaping in a URL."""
        return urlsafe_b64encode(_encode(value)).rstrip(b"=").decode()

    def decode(self, text: str) -> T:
        """Decode the text of a value.

        Raises:
            ValueError: ``encode`` did not make it.
        """
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            value = self._decode(urlsafe_b64decode(padded))
            if self.encode(value) == text:
                return value
        except (UnicodeError, NotBase64, msgspec.DecodeError, OverflowError):
            pass
        raise ValueError(f"not {self._name}")
