"""Asks a broker, in one small request, whether it serves clients yet.

The client library could, but it keeps connections and writes log lines for a question that is asked
many times a second of a broker that is just starting.
"""

import socket
import struct

_METADATA = 3
_VERSION = 1
_CORRELATION = 7
_NO_CLIENT_ID = -1
_NO_TOPICS = 0
_TIMEOUT_SECONDS = 2.0


def brokers_known_at(port: int) -> int:
    """How many live brokers the one on `port` of 127.0.0.1 knows; 0 while it does not serve."""
    request = struct.pack("!hhihi", _METADATA, _VERSION, _CORRELATION, _NO_CLIENT_ID, _NO_TOPICS)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS) as connection:
            connection.sendall(struct.pack("!i", len(request)) + request)
            (size,) = struct.unpack("!i", _receive(connection, 4))
            correlation, brokers = struct.unpack_from("!ii", _receive(connection, size))
    except (OSError, struct.error):
        return 0
    return int(brokers) if correlation == _CORRELATION else 0


def _receive(connection: socket.socket, size: int) -> bytes:
    """Read exactly `size` bytes, fewer only where the other side hangs up."""
    received = b""
    while len(received) < size and (chunk := connection.recv(size - len(received))):
        received += chunk
    return received
