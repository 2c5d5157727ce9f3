"""Checks by one small request whether a broker serves clients, and to which cluster it belongs.

The client library would keep connections and write log lines, many times a second, while a broker
is starting.
"""

import socket
import struct
from dataclasses import dataclass

_METADATA = 3
_VERSION = 2
_CORRELATION = 7
_NO_CLIENT_ID = -1
_NO_TOPICS = 0
_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster: its id, and the number of its brokers that are alive."""

    id: str
    brokers: int


def cluster_at(port: int) -> Cluster | None:
    """The cluster of the broker on `port` of 127.0.0.1; None while it does not serve clients."""
    request = struct.pack("!hhihi", _METADATA, _VERSION, _CORRELATION, _NO_CLIENT_ID, _NO_TOPICS)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS) as connection:
            connection.sendall(struct.pack("!i", len(request)) + request)
            (size,) = struct.unpack("!i", _receive(connection, 4))
            return _read(_Reader(_receive(connection, size)))
    except (OSError, struct.error, UnicodeDecodeError):
        return None


def _read(answer: "_Reader") -> Cluster | None:
    if answer.number("!i") != _CORRELATION:
        return None
    brokers = answer.number("!i")
    for _ in range(brokers):
        answer.number("!i")  # node id
        answer.text()  # host
        answer.number("!i")  # port
        answer.text()  # rack
    return Cluster(answer.text(), brokers)


class _Reader:
    """Reads the fields of a response one after another."""

    def __init__(self, response: bytes) -> None:
        self._response = response
        self._position = 0

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from(form, self._response, self._position)
        self._position += struct.calcsize(form)
        return int(value)

    def text(self) -> str:
        """A string, "" for null."""
        length = max(0, self.number("!h"))
        self._position += length
        return self._response[self._position - length : self._position].decode("utf-8")


def _receive(connection: socket.socket, size: int) -> bytes:
    """Read exactly `size` bytes, fewer only if the connection is closed."""
    received = b""
    while len(received) < size and (chunk := connection.recv(size - len(received))):
        received += chunk
    return received
