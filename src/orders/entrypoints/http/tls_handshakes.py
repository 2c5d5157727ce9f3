"""The TLS handshakes that are in progress, of which asyncio's servers keep no account."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sized
from contextlib import suppress
from functools import partial
from typing import Any, cast

from orders.entrypoints.http.connection import Connection

MOST_HANDSHAKES = 512
"""Handshakes of a process at a time."""


def most_handshakes(max_connections: int) -> int:
    """Return how many handshakes a process with so many connections may have at a time.

    Whoever begins them has shown no key. Each takes an open file, and as much memory as a
    connection.
    """
    return min(MOST_HANDSHAKES, max_connections)


class TlsHandshakes:
    """Accepts connections with TLS; beyond the bounds the oldest handshake is ended.

    Args:
        context: the certificate, its key and what is spoken.
        timeout: seconds that a handshake may take.
        connections: those after their handshake. Also those that are refused or closed: the end of
            TLS waits for clients.
        max_connections: how many of them are not refused.
    """

    def __init__(
        self, context: ssl.SSLContext, timeout: float, connections: Sized, max_connections: int
    ) -> None:
        self._context = context
        self._timeout = timeout
        self._connections = connections
        self._most = most_handshakes(max_connections)
        self._most_files = max_connections + self._most
        self._in_progress: dict[socket.socket, asyncio.Task[None]] = {}  # the oldest first

    def begin(self, client: socket.socket, create: Callable[[], Connection]) -> None:
        """Begin a handshake; ``create`` creates what serves the connection after it."""
        task = asyncio.get_running_loop().create_task(self._handshake(client, create))
        self._in_progress[client] = task
        self.end_oldest(min(self._most, self._most_files - len(self._connections)))

    def end_oldest(self, most: int) -> None:
        """End the oldest handshakes, so that no more than ``most`` remain."""
        for client in list(self._in_progress)[: max(0, len(self._in_progress) - most)]:
            del self._in_progress[client]
            with suppress(OSError):  # the client has left
                client.shutdown(socket.SHUT_RDWR)

    async def _handshake(self, client: socket.socket, create: Callable[[], Connection]) -> None:
        with suppress(OSError):  # it failed, took too long or was ended
            await asyncio.get_running_loop().connect_accepted_socket(
                create, client, ssl=self._context, ssl_handshake_timeout=self._timeout
            )
        self._in_progress.pop(client, None)


class TlsConnection(asyncio.Protocol):
    """A connection that was accepted just now, until its handshake begins.

    Args:
        handshakes: where it begins.
        create: creates what serves the connection after it.
        arguments: those of ``create``.
    """

    def __init__(
        self, handshakes: TlsHandshakes, create: Callable[..., Connection], **arguments: Any
    ) -> None:
        self._handshakes = handshakes
        self._create = partial(create, **arguments)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, on a file of its own, before this transport reads anything."""
        with suppress(OSError):  # there are too many open files
            client: socket.socket = transport.get_extra_info("socket").dup()
            self._handshakes.begin(client, self._create)
        cast("asyncio.Transport", transport).abort()  # the connection stays: a file is left
