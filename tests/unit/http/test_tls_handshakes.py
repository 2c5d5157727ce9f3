"""Clients of TLS take turns, and agree on keys in a way that costs little."""

import asyncio
import ssl
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pytest

from orders.entrypoints.http.request_turns import MOST_IN_A_TURN, RequestTurns
from orders.entrypoints.http.tls_handshakes import TlsConnection, TlsHandshakes
from tests.waiting import most_in_a_turn, settle

FILES = Path(__file__).parents[2] / "data" / "tls"
RECORD = b"\x16\x03\x01\x00\x01\x00"


class Client:
    """A connection of which the handshake never ends.

    Attributes:
        taken: the bytes that TLS was given.
    """

    def __init__(self, turns: RequestTurns) -> None:
        self.taken = 0
        self.transport = Mock()
        self.transport.is_closing.return_value = False
        tls = self.transport.get_protocol.return_value
        tls.get_buffer.side_effect = lambda size: memoryview(bytearray(size))
        tls.buffer_updated.side_effect = self._take
        tls._get_app_transport.return_value.get_extra_info.return_value = None
        self._connection = TlsConnection(Mock(), turns, cast("Any", Mock()))
        self._connection.connection_made(self.transport)

    def _take(self, size: int) -> None:
        self.taken += size

    def send(self, data: bytes) -> None:
        self._connection.get_buffer(0)[: len(data)] = data
        self._connection.buffer_updated(len(data))

    def leave(self) -> None:
        self._connection.connection_lost(None)


async def test_a_client_that_has_sent_much_is_read_again_after_others() -> None:
    """Without a pause libuv would read the same client up to 32 times."""
    client = Client(RequestTurns())
    await asyncio.sleep(0)
    size = len(client._connection.get_buffer(0))
    client.send(bytes(size - 1))
    assert not client.transport.pause_reading.called
    client.send(bytes(size))
    assert client.transport.pause_reading.called
    assert not client.transport.resume_reading.called
    await settle()
    assert client.transport.resume_reading.called


@pytest.mark.parametrize("is_late", [False, True])
async def test_handshakes_leave_the_event_loop_to_others(*, is_late: bool) -> None:
    turns = RequestTurns()
    clients = [Client(turns) for _ in range(3 * MOST_IN_A_TURN)]
    if is_late:  # after TLS is there
        await asyncio.sleep(0)
    for client in clients:
        client.send(RECORD)

    def taken() -> int:
        return sum(client.taken for client in clients)

    assert await most_in_a_turn(taken) == MOST_IN_A_TURN * len(RECORD)
    assert taken() == len(clients) * len(RECORD)


async def test_who_leaves_before_its_turn_is_forgotten() -> None:
    turns = RequestTurns()
    client = Client(turns)
    await asyncio.sleep(0)
    for _ in range(MOST_IN_A_TURN):
        turns.begin()
    client.send(RECORD)
    assert len(turns._waiting) == 1
    client.leave()
    assert not turns._waiting


@pytest.mark.parametrize(("group", "is_refused"), [(0x0104, True), (0x0017, False)])
def test_keys_are_agreed_on_in_a_group_that_costs_little(group: int, *, is_refused: bool) -> None:
    """Those of 8,192 bits take a server a tenth of a second, and the client nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FILES / "certificate.pem", FILES / "key.pem")
    TlsHandshakes(context, 1, (), 1)
    incoming = ssl.MemoryBIO()
    server = context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    incoming.write(client_hello(group))
    with pytest.raises(ssl.SSLError) as raised:
        server.do_handshake()
    # Else it asks for a key of this group.
    assert isinstance(raised.value, ssl.SSLWantReadError) is not is_refused


def client_hello(group: int) -> bytes:
    """The first message of a client of TLS 1.3 that knows one group, and has no key yet."""
    extensions = [
        (43, b"\x02\x03\x04"),  # the version
        (10, b"\x00\x02" + group.to_bytes(2)),
        (13, b"\x00\x04\x08\x04\x04\x03"),  # how certificates are signed
        (51, b"\x00\x00"),  # no key
    ]
    listed = b"".join(
        kind.to_bytes(2) + len(content).to_bytes(2) + content for kind, content in extensions
    )
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x02" + b"\x01\x00"
    body += len(listed).to_bytes(2) + listed
    hello = b"\x01" + len(body).to_bytes(3) + body
    return b"\x16\x03\x01" + len(hello).to_bytes(2) + hello
