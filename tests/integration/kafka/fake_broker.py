"""A broker on loopback that answers as a hostile or a misconfigured one would."""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Behaviour: TypeAlias = Callable[[socket.socket], None]
"""What is done with one connection; it is closed afterwards."""


@contextmanager
def fake_broker(
    behaviour: Behaviour, tls: ssl.SSLContext | None = None, seen: list[float] | None = None
) -> Iterator[str]:
    """Serve every connection by ``behaviour`` during the block; gives `host:port`.

    ``seen`` gets the time of each connection.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    arguments = (listener, behaviour, tls, [] if seen is None else seen)
    threading.Thread(target=_accept, args=arguments, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _accept(
    listener: socket.socket, behaviour: Behaviour, tls: ssl.SSLContext | None, seen: list[float]
) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            seen.append(time.monotonic())
            threading.Thread(target=_serve, args=(connection, behaviour, tls), daemon=True).start()


def _serve(connection: socket.socket, behaviour: Behaviour, tls: ssl.SSLContext | None) -> None:
    with contextlib.suppress(OSError, struct.error), connection:
        if tls:
            connection = tls.wrap_socket(connection, server_side=True)
        with connection:
            behaviour(connection)
            while connection.recv(65536):  # unread data would reset the connection
                pass


def read_frame(connection: socket.socket) -> bytes:
    """One length and as many bytes."""
    (size,) = struct.unpack(">i", _read(connection, 4))
    return _read(connection, size)


def _read(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size and (some := connection.recv(size - len(content))):
        content += some
    return content


def write_frame(connection: socket.socket, content: bytes) -> None:
    connection.sendall(struct.pack(">i", len(content)) + content)


def announce(size: int) -> Behaviour:
    """Answer the first request with the length of a response, and nothing else."""

    def behave(connection: socket.socket) -> None:
        read_frame(connection)
        connection.sendall(struct.pack(">i", size))

    return behave


def answer_in_tls(connection: socket.socket) -> None:
    """Answer the first request with an alert of TLS, as a listener of TLS does."""
    read_frame(connection)
    connection.sendall(b"\x15\x03\x03\x00\x02\x02\x50")


def take_handshake(connection: socket.socket, mechanism: str = "SCRAM-SHA-256") -> None:
    """Answer SaslHandshake: the mechanism is enabled."""
    request = read_frame(connection)
    name = mechanism.encode()
    correlation_id = request[4:8]
    write_frame(connection, correlation_id + struct.pack(">hih", 0, 1, len(name)) + name)


def ask_for_iterations(amount: int) -> Behaviour:
    """Ask for so many iterations in SCRAM's first answer."""

    def behave(connection: socket.socket) -> None:
        take_handshake(connection)
        nonce = read_frame(connection).rpartition(b"r=")[2]
        write_frame(connection, b"r=%bx,s=c2FsdA==,i=%d" % (nonce, amount))

    return behave


def announce_in_login(size: int) -> Behaviour:
    """Answer SCRAM's first message with a length, and nothing else."""

    def behave(connection: socket.socket) -> None:
        take_handshake(connection)
        read_frame(connection)
        connection.sendall(struct.pack(">i", size))

    return behave


def answer_in_login(content: bytes) -> Behaviour:
    """Answer SCRAM's first message with this."""

    def behave(connection: socket.socket) -> None:
        take_handshake(connection)
        read_frame(connection)
        write_frame(connection, content)

    return behave


def refuse_login(connection: socket.socket) -> None:
    """Close the connection at SCRAM's first message, as brokers do for an unknown user."""
    take_handshake(connection)
    read_frame(connection)
    connection.shutdown(socket.SHUT_RDWR)
