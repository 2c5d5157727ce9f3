"""A door before a server that can be shut and opened, so that no shared server need be stopped."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

_CHUNK = 65536


class Watch(Protocol):
    """Sees all that passes on one connection."""

    def from_client(self, data: bytes) -> bytes:
        """What is to be passed on now; ``Cut`` ends the connection."""

    def from_server(self, data: bytes) -> bytes:
        """Likewise."""


class Cut(Exception):
    """The connection ends here, after ``passed``."""

    def __init__(self, passed: bytes = b"") -> None:
        super().__init__()
        self.passed = passed


class _Blind(Watch):
    def from_client(self, data: bytes) -> bytes:
        return data

    def from_server(self, data: bytes) -> bytes:
        return data


class TcpProxy:
    """Listens on a port of its own, which stays the same, and passes bytes to ``target``.

    ``shut`` cuts all connections and refuses new ones, as a stopped server does. ``freeze`` keeps
    them open and passes nothing, as a server that hangs does. ``stall`` does so to those that are
    open, and new ones work, as behind a firewall that has forgotten them. ``open`` ends all three.
    ``watch`` makes what sees, and may cut, each connection.
    """

    def __init__(self, host: str, port: int, watch: Callable[[], Watch] = _Blind) -> None:
        self._target = (host, port)
        self._watch = watch
        self._listener: socket.socket | None = None
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self._stalled: set[tuple[socket.socket, socket.socket]] = set()
        self._revived = threading.Event()
        self.port = 0

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shut()

    def open(self) -> None:
        self._flows.set()
        self._stalled = set()
        self._revived.set()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
            self.port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def freeze(self) -> None:
        self._flows.clear()

    def stall(self) -> None:
        self._revived.clear()
        with self._lock:
            self._stalled = set(self._pairs)

    def shut(self) -> None:
        with self._lock:
            listener, self._listener = self._listener, None
            pairs, self._pairs = self._pairs, set()
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for pair in pairs:
            self._end(pair)
        self._flows.set()
        self._revived.set()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                pair = (client, socket.create_connection(self._target, 5))
            except OSError:
                client.close()
                continue
            with self._lock:
                if is_open := self._listener is listener:
                    self._pairs.add(pair)
            if not is_open:  # shut since the client was accepted
                self._end(pair)
                return
            threading.Thread(target=self._pass, args=(pair,), daemon=True).start()

    def _pass(self, pair: tuple[socket.socket, socket.socket]) -> None:
        watch = self._watch()
        ways = {pair[0]: (pair[1], watch.from_client), pair[1]: (pair[0], watch.from_server)}
        try:
            with selectors.DefaultSelector() as ready:
                for end in pair:
                    ready.register(end, selectors.EVENT_READ, data=end)
                while True:
                    for key, _ in ready.select():
                        self._flows.wait()
                        if pair in self._stalled:
                            self._revived.wait()
                        source: socket.socket = key.data
                        data = source.recv(_CHUNK)
                        if not data:
                            return
                        other, passed = ways[source]
                        try:
                            other.sendall(passed(data))
                        except Cut as cut:
                            other.sendall(cut.passed)
                            return
        except (OSError, ValueError):
            pass  # one side has gone
        finally:
            with self._lock:
                self._pairs.discard(pair)
            self._end(pair)

    @staticmethod
    def _end(pair: tuple[socket.socket, socket.socket]) -> None:
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
