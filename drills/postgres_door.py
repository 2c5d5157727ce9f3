"""A proxy before PostgreSQL that reads along, and cuts connections at chosen places."""

import threading
from collections.abc import Iterator

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.integration.tcp_proxy import Cut, TcpProxy, Watch

_PROTOCOL_3 = 3
_COPY_DATA, _QUERY = b"d", b"Q"
_COMMAND_COMPLETE, _READY = b"C", b"Z"
_COMMIT = b"COMMIT\0"
_HEAD = 5
"""Bytes of a message's type and length."""


class PostgresDoor(TcpProxy):
    """Stands before the server of ``dsn``; clients connect by the attribute ``dsn``, without TLS.

    ``cuts`` counts the connections that were cut, of either kind.
    """

    def __init__(self, dsn: str) -> None:
        parts = conninfo_to_dict(dsn)
        super().__init__(str(parts["host"]), int(parts["port"] or 5432), lambda: _Wire(self))
        self._behind = dsn
        self._armed = threading.Lock()
        self._copy_bytes: int | None = None
        self._loses_commit = False
        self.cuts = 0

    @property
    def dsn(self) -> str:
        """Of the same database, through this door."""
        return make_conninfo(self._behind, host="127.0.0.1", port=self.port, sslmode="disable")

    def cut_in_copy(self, after: int) -> None:
        """Cut the connection on which the ``after``-th byte of COPY data from now on passes."""
        with self._armed:
            self._copy_bytes = after

    def lose_next_commit(self) -> None:
        """Cut the connection of the next COMMIT when the server has done it, and say nothing."""
        with self._armed:
            self._loses_commit = True

    def take_copy_bytes(self, amount: int) -> int | None:
        """Note that so many bytes of COPY data pass; if the cut is due, how many are beyond it."""
        with self._armed:
            if self._copy_bytes is None:
                return None
            self._copy_bytes -= amount
            if self._copy_bytes > 0:
                return None
            beyond, self._copy_bytes = -self._copy_bytes, None
            self.cuts += 1
            return beyond

    def take_commit(self) -> bool:
        """Note that a COMMIT passes; True: its answer is to be lost."""
        with self._armed:
            lost, self._loses_commit = self._loses_commit, False
            return lost

    def lost_commit(self) -> None:
        """Count a COMMIT whose confirmation was dropped."""
        with self._armed:
            self.cuts += 1


class _Wire(Watch):
    """One connection, message by message."""

    def __init__(self, door: PostgresDoor) -> None:
        self._door = door
        self._client, self._server = _Messages(starts=True), _Messages(starts=False)
        self._is_losing = False

    def from_client(self, data: bytes) -> bytes:
        for kind, body, left in self._client.feed(data):
            if kind == _COPY_DATA and (beyond := self._door.take_copy_bytes(len(body))) is not None:
                raise Cut(data[: max(0, len(data) - left - beyond)])
            if kind == _QUERY and body == _COMMIT and self._door.take_commit():
                self._is_losing = True
        return data

    def from_server(self, data: bytes) -> bytes:
        messages = list(self._server.feed(data))
        if not self._is_losing:
            return data
        for kind, body, _left in messages:
            if kind == _COMMAND_COMPLETE and body == _COMMIT:
                self._door.lost_commit()
            if kind == _READY:
                raise Cut
        return b""


class _Messages:
    """Splits one direction of the protocol; ``starts``: it begins with messages without a type."""

    def __init__(self, *, starts: bool) -> None:
        self._starts = starts
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
        """Each message that is whole now: its type (empty where it has none), its body, and how
        many bytes have come after it.
        """
        self._rest += data
        while len(self._rest) >= _HEAD:
            kind = b"" if self._starts else self._rest[:1]
            length = int.from_bytes(self._rest[len(kind) : len(kind) + 4])
            end = len(kind) + length
            if len(self._rest) < end:
                return
            body, self._rest = self._rest[len(kind) + 4 : end], self._rest[end:]
            # Requests for encryption come before the one that names the protocol.
            self._starts = self._starts and int.from_bytes(body[:2]) != _PROTOCOL_3
            yield kind, body, len(self._rest)
