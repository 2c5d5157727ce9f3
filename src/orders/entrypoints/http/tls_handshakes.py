"""Bounds on clients of TLS: on handshakes, and on records that hold nothing of a request."""

import asyncio
import math
import ssl
from collections.abc import Callable, Sized
from contextlib import suppress
from functools import partial
from typing import Any, cast

from orders.entrypoints.http.connection import Connection, Flow
from orders.entrypoints.http.request_turns import RequestTurns

MOST_HANDSHAKES = 512
"""Handshakes of a process at a time."""
MOST_EMPTY_RECORDS = 32
"""Records of a connection, those of its handshake included, that may hold nothing for the
application. An honest client sends a handful."""
_GROUP = "prime256v1"
"""The one group in which keys are agreed on: OpenSSL offers some for which a server computes a
tenth of a second, for a client that computes nothing. All clients of TLS 1.3 have this one (RFC
8446, 9.1); the interface of ``ssl`` takes no second one."""
_READ_BYTES = 16_384
_HEADER = 5
"""Bytes of the header of a record, of which the last two are the length (RFC 8446, 5.1)."""


def most_handshakes(max_connections: int) -> int:
    """Return how many handshakes a process with so many connections may have at a time.

    Whoever begins them has shown no key. Each takes an open file, and as much memory as a
    connection.
    """
    return min(MOST_HANDSHAKES, max_connections)


class TlsHandshakes:
    """The handshakes in progress; beyond the bounds the oldest is ended.

    asyncio's servers keep no account of them.

    Args:
        context: the certificate, its key and what is spoken; restricted to ``_GROUP``.
        timeout: seconds that a handshake may take.
        connections: those after their handshake. Also those that are refused or closed: the end of
            TLS waits for clients.
        max_connections: how many of them are not refused.
    """

    def __init__(
        self, context: ssl.SSLContext, timeout: float, connections: Sized, max_connections: int
    ) -> None:
        context.set_ecdh_curve(_GROUP)
        self._context = context
        self._timeout = timeout
        self._connections = connections
        self._most = most_handshakes(max_connections)
        self._most_files = max_connections + self._most
        self._in_progress: dict[asyncio.Transport, asyncio.Task[None]] = {}  # the oldest first

    def begin(self, transport: asyncio.Transport) -> None:
        """Begin the handshake of a new connection, if there is room."""
        room = min(self._most, self._most_files - len(self._connections))
        if room < 1:
            transport.abort()
            return
        self.end_oldest(room - 1)
        handshake = asyncio.get_running_loop().create_task(self._handshake(transport))
        self._in_progress[transport] = handshake

    def end_oldest(self, most: int) -> None:
        """End the oldest handshakes, so that no more than ``most`` remain."""
        for transport in list(self._in_progress)[: max(0, len(self._in_progress) - most)]:
            del self._in_progress[transport]
            transport.abort()

    async def _handshake(self, transport: asyncio.Transport) -> None:
        if not transport.is_closing():  # else the handshake would last until its timeout
            with suppress(OSError):  # it failed, took too long or was ended
                await asyncio.get_running_loop().start_tls(
                    transport,
                    asyncio.Protocol(),
                    self._context,
                    server_side=True,
                    ssl_handshake_timeout=self._timeout,
                    # It would cut slow readers off; ``Connection.check`` ends those who do nothing.
                    ssl_shutdown_timeout=math.inf,
                )
        self._in_progress.pop(transport, None)


class TlsConnection(asyncio.BufferedProtocol):
    """Passes what a client sends to TLS, one record at a time.

    A client of TLS may send records that hold nothing for the application, such as renewals of its
    keys, which take a tenth of a millisecond each and of which a single read can hold hundreds. One
    that sends many of them is disconnected. While the application does not read, TLS gets nothing:
    it would keep such records, and take all of them at once in the end.

    A record of a handshake takes its turn like a request.

    Args:
        handshakes: where the handshake is accounted for.
        turns: those of requests.
        create: creates what serves the connection after it.
        arguments: those of ``create``.
    """

    _buffer = memoryview(bytearray(_READ_BYTES))  # of all: what is read is passed on or copied

    def __init__(
        self,
        handshakes: TlsHandshakes,
        turns: RequestTurns,
        create: Callable[..., Connection],
        **arguments: Any,
    ) -> None:
        self._handshakes = handshakes
        self._turns = turns
        self._create = partial(create, **arguments)
        self._unread = b""  # what has arrived before TLS was there, or before a pause
        self._header = b""  # of the record that is arriving
        self._rest = 0  # bytes of it that are to come
        self._empty_records = 0
        self._connection: Connection | None = None
        self._tls: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._handshakes.begin(self._transport)
        # After the first step of the handshake, which puts TLS in this place, and before its next.
        asyncio.get_running_loop().call_soon(self._step_between)

    def _step_between(self) -> None:
        if self._transport.is_closing():
            return
        self._tls = self._transport.get_protocol()
        self._transport.set_protocol(self)
        if self._unread:
            self.resume_reading()

    @property
    def _is_paused(self) -> bool:
        """Whether the application does not read."""
        return self._connection is not None and self._connection.flow.read_paused

    def pause_reading(self) -> None:
        """See ``asyncio.Transport``."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See ``asyncio.Transport``; in the next turn of the event loop."""
        asyncio.get_running_loop().call_soon(self._pass_unread)

    @property
    def _has_to_wait(self) -> bool:
        """Whether what arrives is of a handshake, and has to wait for a later turn."""
        return self._connection is None and self._turns.is_over

    def _pass_unread(self) -> None:
        if self._has_to_wait:
            self._turns.wait(self._pass_unread)
            return
        unread, self._unread = self._unread, b""
        self._pass(memoryview(unread))
        if not self._is_paused:
            self._transport.resume_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        """See ``asyncio.BufferedProtocol``."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See ``asyncio.BufferedProtocol``."""
        if self._tls is None or self._unread:
            self._unread += self._buffer[:nbytes]
        elif self._has_to_wait:
            self._unread = bytes(self._buffer[:nbytes])
            self.pause_reading()
            self._pass_unread()
        else:
            self._pass(self._buffer[:nbytes])
            if nbytes == _READ_BYTES:  # else libuv would read up to 32 times before it reads others
                self.pause_reading()
                self.resume_reading()

    def _pass(self, data: memoryview) -> None:
        start = at = 0
        while at < len(data) and not self._is_done():
            if self._is_paused:
                self._unread = bytes(data[at:])
                break
            if self._rest:
                step = min(self._rest, len(data) - at)
                self._rest -= step
            else:
                step = min(_HEADER - len(self._header), len(data) - at)
                self._header += data[at : at + step]
                if len(self._header) == _HEADER:
                    self._rest = int.from_bytes(self._header[-2:], "big")
                    self._header = b""
            at += step
            is_whole = not (self._rest or self._header)
            if is_whole or at == len(data):
                self._feed(data[start:at], is_whole=is_whole)
                start = at

    def _is_done(self) -> bool:
        """Whether what still arrives is dropped, as by the end of TLS, but at no cost."""
        return self._empty_records >= MOST_EMPTY_RECORDS or self._transport.is_closing()

    def _feed(self, data: memoryview, *, is_whole: bool) -> None:
        """Give TLS a record, or a part of one; ends the connection if too many hold nothing."""
        connection = self._connection
        if connection is not None:
            connection.has_received = False
        self._tls.get_buffer(len(data))[: len(data)] = data
        self._tls.buffer_updated(len(data))
        if connection is None:
            self._connect()
        if is_whole and connection is None:
            self._turns.begin()
        if is_whole and (connection is None or not connection.has_received):
            self._empty_records += 1
            is_open = connection is None or not connection.transport.is_closing()
            if self._empty_records >= MOST_EMPTY_RECORDS and is_open:
                self._transport.abort()

    def _connect(self) -> None:
        """Have the application serve the connection, once the handshake is complete."""
        tls = self._tls._get_app_transport()  # noqa: SLF001 (``start_tls`` returns it too late)
        if tls.get_extra_info("ssl_object") is not None:
            self._connection = self._create()
            tls.set_protocol(self._connection)
            self._connection.connection_made(tls)
            self._connection.flow = Flow(cast("asyncio.Transport", self))
            self._connection.transports.append(self._transport)

    def eof_received(self) -> bool | None:
        """See ``asyncio.BufferedProtocol``."""
        return cast("bool | None", self._tls.eof_received()) if self._tls else None

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.BufferedProtocol``."""
        self._turns.forget(self._pass_unread)
        if self._tls:
            self._tls.connection_lost(exc)
        # What leads from here to itself, as in ``Connection.connection_lost``.
        self._tls = self._connection = None

    def pause_writing(self) -> None:
        """See ``asyncio.BufferedProtocol``."""
        self._tls.pause_writing()

    def resume_writing(self) -> None:
        """See ``asyncio.BufferedProtocol``."""
        self._tls.resume_writing()
