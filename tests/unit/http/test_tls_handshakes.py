"""Clients of TLS take turns."""

import asyncio
from typing import Any, cast
from unittest.mock import Mock

from orders.entrypoints.http.tls_handshakes import TlsConnection


async def test_a_client_that_has_sent_much_is_read_again_after_others() -> None:
    """Without a pause libuv would read the same client up to 32 times."""
    transport = Mock()
    transport.is_closing.return_value = False
    tls = transport.get_protocol.return_value
    tls.get_buffer.side_effect = lambda size: memoryview(bytearray(size))
    tls._get_app_transport.return_value.get_extra_info.return_value = None  # still a handshake
    connection = TlsConnection(Mock(), cast("Any", Mock()))
    connection.connection_made(transport)
    await asyncio.sleep(0)
    size = len(connection.get_buffer(0))
    connection.buffer_updated(size - 1)
    assert not transport.pause_reading.called
    connection.buffer_updated(size)
    assert transport.pause_reading.called
    assert not transport.resume_reading.called
    await asyncio.sleep(0)
    assert transport.resume_reading.called
