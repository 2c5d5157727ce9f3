"""A proxy in front of a broker that damages some of its responses."""

import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from random import Random

_FETCH = 1
_ORDER = re.compile(rb'"order_uid"')


class DamagingProxy:
    """Forwards requests and responses, and damages a byte in a share of those that hold orders.

    Attributes:
        damaged: how many responses it has damaged.
    """

    def __init__(self, port: int, target: int, rng: Random) -> None:
        self._target = target
        self._rng = Random(rng.random())
        self._chance = 0.0
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self._connections: list[socket.socket] = []
        self.damaged = 0

    @contextmanager
    def running(self) -> Iterator["DamagingProxy"]:
        """Serve within the block."""
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            for connection in (self._listener, *self._connections):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    @contextmanager
    def damaging(self, chance: float) -> Iterator[None]:
        """Damage that share of the responses to fetches that hold orders, within the block."""
        self._chance = chance
        try:
            yield
        finally:
            self._chance = 0.0

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with suppress(OSError):
                    server = socket.create_connection(("127.0.0.1", self._target), 5)
                    server.settimeout(None)
                    self._connections += [client, server]
                    fetches: set[int] = set()
                    for pass_on in (self._requests, self._answers):
                        passing = (pass_on, client, server, fetches)
                        threading.Thread(target=self._end_with, args=passing, daemon=True).start()

    def _end_with(
        self,
        pass_on: Callable[[socket.socket, socket.socket, set[int]], None],
        client: socket.socket,
        server: socket.socket,
        fetches: set[int],
    ) -> None:
        try:
            pass_on(client, server, fetches)
        except (OSError, EOFError):
            pass
        finally:
            for end in (client, server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _requests(self, client: socket.socket, server: socket.socket, fetches: set[int]) -> None:
        while True:
            frame = _frame(client)
            key, _version, correlation = struct.unpack_from("!hhi", frame)
            if key == _FETCH:
                fetches.add(correlation)
            server.sendall(struct.pack("!i", len(frame)) + frame)

    def _answers(self, client: socket.socket, server: socket.socket, fetches: set[int]) -> None:
        while True:
            frame = _frame(server)
            (correlation,) = struct.unpack_from("!i", frame)
            if correlation in fetches:
                fetches.discard(correlation)
                self._damage(frame)
            client.sendall(struct.pack("!i", len(frame)) + frame)

    def _damage(self, frame: bytearray) -> None:
        """Change a dead letter in a field name of a random order of the response."""
        orders = [match.start() for match in _ORDER.finditer(frame)]
        if orders and self._rng.random() < self._chance:
            frame[self._rng.choice(orders) + 3] ^= 0x01
            self.damaged += 1


def _frame(connection: socket.socket) -> bytearray:
    (size,) = struct.unpack("!i", _receive(connection, 4))
    return _receive(connection, size)


def _receive(connection: socket.socket, size: int) -> bytearray:
    received = bytearray(size)
    view = memoryview(received)
    while view:
        read = connection.recv_into(view)
        if not read:
            raise EOFError
        view = view[read:]
    return received
