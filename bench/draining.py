"""Readers of long answers: as fast as the bytes come, or as slowly as one likes."""

import socket
import threading
import time
from typing import NamedTuple

from bench.place import check

_RECEIVE = 1_048_576
_LAST_CHUNK = b"0\r\n\r\n"


class Drained(NamedTuple):
    """What a reader saw; ``wire`` counts everything, also the marks between the chunks."""

    first_byte: float
    seconds: float
    wire: int
    is_whole: bool


class Reader(threading.Thread):
    """Reads GET ``target`` in a thread; ``rate``: at most so many bytes a second.

    Ends with the answer, or when ``leave`` is called.
    """

    def __init__(self, port: int, target: str, rate: float | None = None) -> None:
        super().__init__(daemon=True)
        self._port, self._target, self._rate = port, target, rate
        self._left = threading.Event()
        self.drained = Drained(0.0, 0.0, 0, is_whole=False)

    def leave(self) -> None:
        """Close the connection, whatever is still to come."""
        self._left.set()
        self.join(10)

    def run(self) -> None:
        """Read; in the thread."""
        self.drained = drain(self._port, self._target, self._rate, self._left)


def drain(
    port: int,
    target: str,
    rate: float | None = None,
    left: threading.Event | None = None,
) -> Drained:
    """Read a response to its end, and discard it.

    The time to the first byte of the body counts from the request on a connection that is there.
    """
    buffer = memoryview(bytearray(_RECEIVE if rate is None else 8_192))
    with socket.socket() as client:
        if rate is not None:
            # Else the kernel would take in megabytes for a reader that is slow.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        client.settimeout(30)
        client.connect(("127.0.0.1", port))
        began = time.perf_counter()
        client.sendall(
            f"GET {target} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n".encode()
        )
        head, wire, first = b"", 0, 0.0
        tail = b""
        while not (left and left.is_set()):
            got = client.recv_into(buffer)
            if not got:
                break
            if not first:
                head += bytes(buffer[:got])
                at = head.find(b"\r\n\r\n")
                if at < 0 or at + 4 == len(head):
                    continue
                check(head.startswith(b"HTTP/1.1 200 "), f"{target}: {head[:40]!r}")
                first = time.perf_counter() - began
                wire = len(head) - at - 4
            else:
                wire += got
            tail = (tail + bytes(buffer[max(0, got - 5) : got]))[-5:]
            if tail == _LAST_CHUNK:
                break
            if rate is not None:
                time.sleep(max(0.0, began + wire / rate - time.perf_counter()))
        seconds = time.perf_counter() - began
    return Drained(first, seconds, wire, tail == _LAST_CHUNK)
